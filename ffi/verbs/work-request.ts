import { type Address, NativeBuffer } from "../runtime/index.ts";
import type { StructLayout } from "./abi/index.ts";
import { lastErrno, structs } from "./abi/index.ts";
import { PostError, VerbsUserError } from "./errors.ts";
import { requireInteger } from "./resource.ts";
import { ScatterGatherArena } from "./scatter-gather.ts";

export interface WorkRequestListOptions {
  /** How many requests fit. */
  readonly requests: number;
  /** How many scatter/gather entries fit, over all requests; one for each request by default. */
  readonly entries?: number;
}

/** What posts a list: post_send, post_recv or post_srq_recv. */
export type Post = (queue: Address, first: Address, bad: Address) => number;

// Both kinds of request begin alike; only their size and what follows differ.
const { fields } = structs.receiveWorkRequest;
const ID = fields.wr_id.offset / 4;
const NEXT = fields.next.offset / 4;
const ENTRIES = fields.sg_list.offset / 4;
const ENTRY_COUNT = fields.num_sge.offset / 4;

/**
 * A linked list of work requests in one buffer that does not move, posted with one native call. Building writes 32-bit
 * words in place and allocates nothing. Entries that were added since the previous request belong to the next one. The
 * device has copied the list when the post returns: it can be cleared and filled again at once, or posted again.
 */
export abstract class WorkRequestList {
  readonly capacity: number;
  /** How many requests stand in the list. */
  count = 0;
  /** The most entries that one of the requests has. */
  widest = 0;
  protected readonly words: Uint32Array;
  protected readonly entries: ScatterGatherArena;
  readonly #buffer: NativeBuffer;
  readonly #bad = NativeBuffer.allocate(8);
  readonly #size: number;

  protected constructor(layout: StructLayout, { requests, entries = requests }: WorkRequestListOptions) {
    this.capacity = requireInteger(requests, "requests", 1, 0xf_ffff);
    this.entries = new ScatterGatherArena(requireInteger(entries, "entries", 0, 0xff_ffff));
    this.#size = layout.size;
    this.#buffer = NativeBuffer.allocate(requests * layout.size);
    this.words = this.#buffer.u32;
    // The links are written once; posting only cuts them behind the last request.
    for (let index = 0; index < requests - 1; index++) this.#link(index);
  }

  /** Adds a piece of local memory to the request that is made next: `lkey` is its memory region's. */
  entry(address: Address, byteLength: number, lkey: number): this {
    this.entries.add(address, byteLength, lkey);
    return this;
  }

  /** Empties the list. */
  clear(): void {
    this.count = 0;
    this.widest = 0;
    this.entries.clear();
  }

  /** Begins a request with the open entries. @returns the index of its first word. */
  protected begin(id: number): number {
    if (this.count === this.capacity) {
      throw new VerbsUserError("LIST_TOO_LONG", `this list has room for ${this.capacity} work requests`);
    }
    const word = (this.count * this.#size) >>> 2;
    const { words, entries } = this;
    words[word + ID] = id >>> 0;
    words[word + ID + 1] = (id / 0x1_0000_0000) >>> 0;
    const address = entries.openAddress;
    words[word + ENTRIES] = address >>> 0;
    words[word + ENTRIES + 1] = (address / 0x1_0000_0000) >>> 0;
    const taken = entries.take();
    words[word + ENTRY_COUNT] = taken;
    if (taken > this.widest) this.widest = taken;
    this.count++;
    return word;
  }

  /** The index of the last request's first word. @throws {VerbsUserError} for an empty list. */
  protected get lastWord(): number {
    if (this.count === 0) throw new VerbsUserError("INVALID_ARGUMENT", "this list is empty");
    return ((this.count - 1) * this.#size) >>> 2;
  }

  /** Posts the whole list to a queue of C's. @throws {PostError} saying how many requests were taken. */
  unsafePost(post: Post, queue: Address, verb: string): void {
    const last = this.count - 1;
    const word = ((last * this.#size) >>> 2) + NEXT;
    this.words[word] = 0;
    this.words[word + 1] = 0;
    this.#bad.setAddress(0, 0);
    const status = post(queue, this.#buffer.address, this.#bad.address);
    const errno = status === -1 ? lastErrno() : Math.abs(status);
    if (last < this.capacity - 1) this.#link(last);
    if (status === 0) return;
    // A provider that names no request has taken none.
    const bad = this.#bad.getAddress(0);
    throw new PostError(verb, errno, bad === 0 ? 0 : (bad - this.#buffer.address) / this.#size, this.count);
  }

  #link(index: number): void {
    this.#buffer.setAddress(index * this.#size + NEXT * 4, this.#buffer.address + (index + 1) * this.#size);
  }
}
