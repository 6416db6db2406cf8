import { Mapping } from "../../../ffi/libc/index.ts";
import {
  Access,
  type MemoryRegion,
  type ProtectionDomain,
  ReceiveList,
  type SendList,
} from "../../../ffi/verbs/index.ts";
import { decodeMessage, encodeMessage, type Message, MESSAGE_BYTES, MessageType } from "./messages.ts";

export interface MessageSlotsOptions {
  readonly count: number;
  /** Of each that comes, and of each that goes. */
  readonly receiveBytes: number;
  readonly sendBytes: number;
}

/** Memory for a lane's messages: as many that come as receives are posted, and as many that go. */
export class MessageSlots {
  readonly #options: MessageSlotsOptions;
  readonly #memory: Mapping;
  readonly #view: DataView;
  readonly #region: MemoryRegion;
  readonly #receives: ReceiveList;
  #next = 0;

  constructor(domain: ProtectionDomain, options: MessageSlotsOptions) {
    const { count, receiveBytes, sendBytes } = options;
    this.#options = options;
    this.#memory = Mapping.allocate(count * (receiveBytes + sendBytes), { hugePages: false });
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
    const { receiveBytes } = this.#options;
    this.#receives.entry(this.#memory.address + slot * receiveBytes, receiveBytes, this.#region.lkey).receive(id);
  }

  read(slot: number): Message {
    const { receiveBytes } = this.#options;
    const offset = slot * receiveBytes;
    const message = decodeMessage(this.#view, offset);
    if (message.type !== MessageType.CARRY) return message;
    const begin = offset + MESSAGE_BYTES;
    const byteLength = Math.min(message.value, receiveBytes - MESSAGE_BYTES);
    return { ...message, body: this.#memory.bytes.slice(begin, begin + byteLength) };
  }

  /**
   * Adds the message to what is sent next. Its memory is used again only after `count` more, by which time the peer has
   * given the message's credit back and so has it.
   * @returns its bytes.
   */
  put(list: SendList, message: Message): number {
    const { count, receiveBytes, sendBytes } = this.#options;
    const offset = count * receiveBytes + this.#next * sendBytes;
    this.#next = (this.#next + 1) % count;
    encodeMessage(this.#view, offset, message);
    const { body } = message;
    if (body) this.#memory.bytes.set(body, offset + MESSAGE_BYTES);
    const byteLength = MESSAGE_BYTES + (body?.byteLength ?? 0);
    list.entry(this.#memory.address + offset, byteLength, this.#region.lkey);
    return byteLength;
  }

  /** After the queue pair. */
  close(): void {
    this.#region.close();
    this.#memory.close();
  }
}
