import { type QueuePair, SendFlag, SendList, type WindowBinding } from "../../../ffi/verbs/index.ts";
import type { RoomTag } from "../transport.ts";
import type { MessageSlots } from "./message-slots.ts";
import type { Message } from "./messages.ts";
import { PostedLists, type Poster } from "./posted-lists.ts";

/** Requests in one native call; the last of them reports for all. */
export const LIST_REQUESTS = 64;
/** Of the send queue, so that one full of data can still say something. */
const MESSAGE_REQUESTS = 8;
/** Ids of send requests are below; those of receives begin here: after an error the id is all that is known. */
export const RECEIVE_ID = 0x1_0000_0000;

/** One write, which may be empty. */
export interface SmallWrite {
  readonly source: readonly { readonly address: number; readonly byteLength: number; readonly key: number }[];
  readonly remote: number;
  readonly key: number;
  readonly byteLength: number;
}

export const NOTHING: SmallWrite = { source: [], remote: 0, key: 0, byteLength: 0 };

export interface SendQueueOptions {
  /** Requests that the queue pair holds. */
  readonly depth: number;
  /** Source segments of one write. */
  readonly gather: number;
  /** Bytes under way. */
  readonly windowBytes: number;
  /** Whether the processor may read what is written, so that small writes can be inline. */
  readonly mayInline: boolean;
}

/** A queue pair's send queue: the list that is being made, which one native call posts, and what is under way. */
export class SendQueue {
  readonly #queuePair: QueuePair;
  readonly #options: SendQueueOptions;
  readonly #list: SendList;
  readonly #posted = new PostedLists();
  /** Counts lists, for the requests' ids. */
  #number = 0;

  constructor(queuePair: QueuePair, options: SendQueueOptions) {
    this.#queuePair = queuePair;
    this.#options = options;
    this.#list = new SendList({ requests: LIST_REQUESTS, entries: LIST_REQUESTS * options.gather });
  }

  /** Requests that can be added now. */
  get free(): number {
    const { count, capacity } = this.#list;
    return Math.min(capacity - count, this.#options.depth - MESSAGE_REQUESTS - this.#posted.requests - count);
  }

  /** As {@link free}, for messages and what goes with them. */
  hasRoomFor(requests: number): boolean {
    const count = this.#list.count + requests;
    return count <= this.#list.capacity && this.#posted.requests + count <= this.#options.depth;
  }

  /** Bytes that can be added now. */
  get freeBytes(): number {
    return this.#options.windowBytes - this.#posted.bytes;
  }

  /** Requests that the device has. */
  get pending(): number {
    return this.#posted.requests;
  }

  /** Bytes that have landed since the queue was made. */
  get landedBytes(): number {
    return this.#posted.landedBytes;
  }

  /** Adds local memory to the write that is added next. */
  entry(address: number, byteLength: number, key: number): void {
    this.#list.entry(address, byteLength, key);
  }

  /** One of the writes that are {@link free}. */
  write(poster: Poster, remote: number, key: number, byteLength: number): void {
    this.#list.write(this.#number, remote, key, 0);
    this.#posted.add(poster, byteLength);
  }

  /** As {@link write}, with its source and inline where it is small. */
  writeFrom(poster: Poster, write: SmallWrite): void {
    this.#addSource(write);
    this.#list.write(this.#number, write.remote, write.key, this.#inlineWrite(write.byteLength));
    this.#posted.add(poster, write.byteLength);
  }

  writeWithImmediate(poster: Poster, immediate: RoomTag, write: SmallWrite): void {
    this.#addSource(write);
    const flags = this.#inlineWrite(write.byteLength);
    this.#list.writeWithImmediate(this.#number, write.remote, write.key, immediate, flags);
    this.#posted.add(poster, write.byteLength);
  }

  send(slots: MessageSlots, message: Message, poster?: Poster): void {
    const byteLength = slots.put(this.#list, message);
    this.#list.send(this.#number, this.#inline(byteLength));
    if (poster) this.#posted.add(poster, 0);
  }

  /** From here on, what arrives by this queue pair under the key may touch the binding's memory. */
  bind(poster: Poster, binding: WindowBinding, key: number): void {
    this.#list.bindWindow(this.#number, binding, key, 0);
    this.#posted.add(poster, 0);
  }

  /** Once it is reported, nothing can land under the key. */
  invalidate(poster: Poster, key: number): void {
    this.#list.invalidate(this.#number, key, 0);
    this.#posted.add(poster, 0);
  }

  /** Posts what was added. @throws {VerbsError} */
  post(): void {
    const { count } = this.#list;
    if (count === 0) return;
    this.#list.signalLast();
    this.#queuePair.postSend(this.#list);
    this.#posted.post(count);
    this.#number = (this.#number + 1) % RECEIVE_ID;
    this.#list.clear();
  }

  /** The device has reported its oldest list. */
  complete(): readonly Poster[] {
    return this.#posted.complete();
  }

  /** What will never be reported: each poster once for each list that it was in. */
  abandon(): Poster[] {
    return this.#posted.abandon();
  }

  #addSource({ source }: SmallWrite): void {
    for (const { address, byteLength, key } of source) this.#list.entry(address, byteLength, key);
  }

  /** Inline, the processor copies the source into the request. */
  #inlineWrite(byteLength: number): number {
    return this.#options.mayInline ? this.#inline(byteLength) : 0;
  }

  #inline(byteLength: number): number {
    return byteLength > 0 && byteLength <= this.#queuePair.capabilities.inlineBytes ? SendFlag.INLINE : 0;
  }
}
