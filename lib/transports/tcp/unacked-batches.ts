import type { RoomTag, WriteBatch } from "../transport.ts";

/** Batches that are sent whole and of which the receiver has not yet said that they are in place, oldest first. */
export class UnackedBatches {
  /** Dropped ones keep their place, empty: their acknowledgement still comes. */
  readonly #batches: (WriteBatch | undefined)[] = [];

  get size(): number {
    return this.#batches.length;
  }

  push(batch: WriteBatch): void {
    this.#batches.push(batch);
  }

  /** The oldest, acknowledged now; undefined if it was dropped. */
  shift(): WriteBatch | undefined {
    return this.#batches.shift();
  }

  drop(tag: RoomTag): WriteBatch[] {
    const dropped: WriteBatch[] = [];
    for (const [index, batch] of this.#batches.entries()) {
      if (batch?.tag !== tag) continue;
      dropped.push(batch);
      this.#batches[index] = undefined;
    }
    return dropped;
  }

  dropAll(): WriteBatch[] {
    return this.#batches.splice(0).filter((batch) => batch !== undefined);
  }
}
