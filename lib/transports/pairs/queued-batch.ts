import type { WriteBatch } from "../transport.ts";
import { PlanCursor, type SegmentSink } from "./plan-cursor.ts";

/** A batch and how far it has got: pages first, then the aux slot. */
export class QueuedBatch {
  readonly batch: WriteBatch;
  /** How far the pages have got. */
  readonly pages: PlanCursor;
  /** One turn was not enough for its pages. */
  large = false;
  readonly #aux: PlanCursor | undefined;

  constructor(batch: WriteBatch) {
    this.batch = batch;
    this.pages = new PlanCursor(batch.plan);
    this.#aux = batch.last && new PlanCursor(batch.last.aux);
  }

  get done(): boolean {
    return this.pages.done && (this.#aux === undefined || this.#aux.done);
  }

  /** Pages, then the aux slot. */
  advance(maxBytes: number, sink: SegmentSink): number {
    const pages = this.pages.done ? 0 : this.pages.advance(maxBytes, sink);
    return this.#aux && this.pages.done ? pages + this.#aux.advance(maxBytes - pages, sink) : pages;
  }
}
