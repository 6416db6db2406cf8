import { Mapping } from "../../../ffi/libc/index.ts";
import {
  Access,
  type MemoryRegion,
  type ProtectionDomain,
  ReceiveList,
  type SendList,
} from "../../../ffi/verbs/index.ts";
import { decodeMessage, encodeMessage, type Message, MESSAGE_BYTES } from "./messages.ts";

/** Memory for a lane's messages: as many that come as receives are posted, and as many that go. */
export class MessageSlots {
  readonly #count: number;
  readonly #memory: Mapping;
  readonly #view: DataView;
  readonly #region: MemoryRegion;
  readonly #receives: ReceiveList;
  #next = 0;

  constructor(domain: ProtectionDomain, count: number) {
    this.#count = count;
    this.#memory = Mapping.allocate(2 * count * MESSAGE_BYTES, { hugePages: false });
    this.#view = new DataView(this.#memory.buffer);
    try {
      this.#region = domain.registerMemory(this.#memory, { access: Access.LOCAL_WRITE });
    } catch (error) {
      this.#memory.close();
      throw error;
    }
    this.#receives = new ReceiveList({ requests: count });
  }

  /** The receives to post: all of {@link arm} since they were posted last. */
  get receives(): ReceiveList {
    return this.#receives;
  }

  /** Adds a receive for the slot. */
  arm(slot: number, id: number): void {
    this.#receives.entry(this.#memory.address + slot * MESSAGE_BYTES, MESSAGE_BYTES, this.#region.lkey).receive(id);
  }

  read(slot: number): Message {
    return decodeMessage(this.#view, slot * MESSAGE_BYTES);
  }

  /**
   * Adds the message to what is sent next. Its memory is used again only after `count` more, by which time the peer has
   * given the message's credit back and so has it.
   */
  put(list: SendList, message: Message): void {
    const offset = (this.#count + this.#next) * MESSAGE_BYTES;
    this.#next = (this.#next + 1) % this.#count;
    encodeMessage(this.#view, offset, message);
    list.entry(this.#memory.address + offset, MESSAGE_BYTES, this.#region.lkey);
  }

  /** After the queue pair. */
  close(): void {
    this.#region.close();
    this.#memory.close();
  }
}
