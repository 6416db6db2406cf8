import type { KVTransferError } from "../../errors.ts";
import type { WriteBatch } from "../transport.ts";
import type { Poster } from "./posted-lists.ts";

/** A batch of which something has been posted. */
export class Flight implements Poster {
  readonly batch: WriteBatch;
  pending = 0;
  /** Nothing more will be posted for it. */
  complete = false;
  /** What to report once nothing of it is under way. */
  cancelled: KVTransferError | undefined;
  /** Of the last chunk: aux writes posted, and lanes that have told the receiver. */
  auxWrites = 0;
  lanesTold = 0;
  readonly #settle: (flight: Flight) => void;

  constructor(batch: WriteBatch, settle: (flight: Flight) => void) {
    this.batch = batch;
    this.#settle = settle;
  }

  landed(): void {
    if (this.pending === 0 && (this.complete || this.cancelled)) this.#settle(this);
  }
}
