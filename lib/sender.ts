import { KVUserError } from "./errors.ts";
import type { PoolCapacity } from "./planner/index.ts";
import { pageIndices, RoomHandle, type RoomOwner, slotIndex } from "./room-handle.ts";
import { KVPoll, type SlotRef } from "./rooms/index.ts";

export interface SenderOptions {
  /** The request's bootstrap room: an integer from 0 to 2^53-1, unique among live rooms. */
  readonly room: number;
  /** `host:port` as the request named it. Only 2.2.2.2 matters: SGLang's fake peer of warm-up requests. */
  readonly bootstrapAddr?: string | undefined;
}

/**
 * Prefill's side of a room (SGLang's KVSender): `init`, then `send` as chunks of the prompt are computed; the call that
 * brings the number of pages to `numPages` is the last, and the aux slot must be filled before it.
 */
export class KVSender extends RoomHandle {
  readonly #capacity: PoolCapacity;
  #numPages: number | undefined;
  #sent = 0;
  #complete = false;

  /** Use `manager.createSender`. */
  constructor(owner: RoomOwner, ref: SlotRef, options: SenderOptions, capacity: PoolCapacity) {
    super(owner, options.room, ref);
    this.#capacity = capacity;
    const { room, bootstrapAddr } = options;
    owner.submit({ op: "open-sender", ref, room, ...(bootstrapAddr === undefined ? {} : { bootstrapAddr }) });
  }

  /**
   * Tokens at the prompt's start that decode has already: their pages are not sent. Known from WaitingForInput on;
   * undefined before.
   */
  popDecodePrefixLen(): number | undefined {
    return this.poll() === KVPoll.Bootstrapping ? undefined : this.owner.table.decodePrefixTokens(this.ref);
  }

  /** `numPages` may be 0: then `send([])` sends the aux slot alone. */
  init(numPages: number, auxIndex: number): void {
    this.assertOpen("init");
    if (this.#numPages !== undefined) throw new KVUserError("WRONG_STATE", "init: called twice", { room: this.room });
    if (!Number.isInteger(numPages) || numPages < 0 || numPages > this.#capacity.pages) {
      const message = `init: numPages must be from 0 to the pool's ${this.#capacity.pages}, not ${numPages}`;
      throw new KVUserError("BAD_ARGUMENT", message, { room: this.room });
    }
    slotIndex("init", auxIndex, this.#capacity.auxSlots, this.room);
    this.#numPages = numPages;
    this.owner.submit({ op: "init-sender", ref: this.ref, numPages, auxIndex });
  }

  /** The next pages, in the order of the prompt. They must stay untouched until {@link released}. */
  send(pages: ArrayLike<number>): void {
    this.assertOpen("send");
    const { room } = this;
    if (this.#numPages === undefined) throw new KVUserError("WRONG_STATE", "send: call init first", { room });
    if (this.#complete) throw new KVUserError("WRONG_STATE", `send: all ${this.#numPages} pages were given`, { room });
    if (this.#sent + pages.length > this.#numPages) {
      const message = `send: ${this.#sent} + ${pages.length} pages, but init said ${this.#numPages}`;
      throw new KVUserError("BAD_ARGUMENT", message, { room });
    }
    const checked = pageIndices("send", pages, this.#capacity.pages, room);
    this.#sent += checked.length;
    this.#complete = this.#sent === this.#numPages;
    if (checked.length > 0 || this.#complete) this.owner.submit({ op: "send", ref: this.ref, pages: checked });
  }
}
