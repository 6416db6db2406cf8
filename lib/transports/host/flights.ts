import type { KVTransferError } from "../../errors.ts";
import type { QueuedBatch } from "../pairs/index.ts";
import type { RoomTag, WriteBatch } from "../transport.ts";

interface Flight {
  readonly turn: number;
  readonly queued: QueuedBatch;
}

/** A room that must not be written to any more, and what waits for that to be so. */
export interface Fence {
  readonly turn: number;
  readonly tag: RoomTag;
  readonly batches: readonly WriteBatch[];
  readonly error: KVTransferError;
  readonly revoked: boolean;
}

/** Batches whose pages are all begun, and fences behind everything begun before them; both in the order of turns. */
export class Flights {
  readonly #flying: Flight[] = [];
  readonly #fences: Fence[] = [];

  /** Batches under way. */
  get size(): number {
    return this.#flying.length;
  }

  get empty(): boolean {
    return this.#flying.length === 0 && this.#fences.length === 0;
  }

  add(turn: number, queued: QueuedBatch): void {
    this.#flying.push({ turn, queued });
  }

  addFence(fence: Fence): void {
    this.#fences.push(fence);
  }

  /** The oldest batch whose pages are in place now that `passed` turns are. */
  nextLanded(passed: number): QueuedBatch | undefined {
    return this.#flying.length > 0 && this.#flying[0]!.turn <= passed ? this.#flying.shift()!.queued : undefined;
  }

  nextFence(passed: number): Fence | undefined {
    return this.#fences.length > 0 && this.#fences[0]!.turn <= passed ? this.#fences.shift() : undefined;
  }

  /** Takes one room's batches out, oldest first. */
  take(tag: RoomTag): WriteBatch[] {
    const taken: WriteBatch[] = [];
    for (let i = 0; i < this.#flying.length;) {
      const { batch } = this.#flying[i]!.queued;
      if (batch.tag !== tag) i++;
      else {
        taken.push(batch);
        this.#flying.splice(i, 1);
      }
    }
    return taken;
  }

  takeAll(): WriteBatch[] {
    const fenced = this.#fences.splice(0).flatMap(({ batches }) => batches);
    return [...fenced, ...this.#flying.splice(0).map(({ queued }) => queued.batch)];
  }
}
