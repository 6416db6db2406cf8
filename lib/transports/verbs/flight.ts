import type { KVTransferError } from "../../errors.ts";
import type { WriteBatch } from "../transport.ts";
import type { Lane } from "./lane.ts";
import type { Poster } from "./posted-lists.ts";

/** A batch of which something has been posted. */
export class Flight implements Poster {
  readonly batch: WriteBatch;
  pending = 0;
  /** Nothing more will be posted for it. */
  complete = false;
  /** What to report once nothing of it is under way. */
  cancelled: KVTransferError | undefined;
  /** Of the last chunk: aux writes posted. */
  auxWrites = 0;
  /** Of the last chunk: the lanes that tell the receiver, and how many of them have. */
  tellers: readonly Lane[] = [];
  told = 0;
  readonly #settle: (flight: Flight) => void;

  constructor(batch: WriteBatch, settle: (flight: Flight) => void) {
    this.batch = batch;
    this.#settle = settle;
  }

  landed(): void {
    if (this.pending === 0 && (this.complete || this.cancelled)) this.#settle(this);
  }

  /** All of it is posted anew. */
  restart(): void {
    this.complete = false;
    this.auxWrites = 0;
    this.tellers = [];
    this.told = 0;
  }
}
