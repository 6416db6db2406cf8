import type { RoomTag } from "../transport.ts";
import type { Lane } from "./lane.ts";

/** A sender that is heard of, but does not answer, is given this many times the grace. */
const PATIENCE = 5;

interface RevokedRoom {
  readonly since: number;
  /** Lanes by which something may still land for it. */
  readonly lanes: Set<Lane>;
}

/** The rooms that a receiver has taken back and that may still be written to. */
export class Fences {
  readonly #rooms = new Map<RoomTag, RevokedRoom>();

  get size(): number {
    return this.#rooms.size;
  }

  get tags(): readonly RoomTag[] {
    return [...this.#rooms.keys()];
  }

  has(tag: RoomTag): boolean {
    return this.#rooms.has(tag);
  }

  add(tag: RoomTag, since: number, lanes: Iterable<Lane>): void {
    this.#rooms.set(tag, { since, lanes: new Set(lanes) });
  }

  /** Nothing more comes by the lane for the room. True: now it is fenced. */
  release(tag: RoomTag, lane: Lane): boolean {
    const room = this.#rooms.get(tag);
    if (!room) return false;
    room.lanes.delete(lane);
    return room.lanes.size === 0 && this.#rooms.delete(tag);
  }

  /** Nothing more comes by the lane at all: the rooms that this fences. */
  releaseAll(lane: Lane): RoomTag[] {
    return this.tags.filter((tag) => this.release(tag, lane));
  }

  delete(tag: RoomTag): void {
    this.#rooms.delete(tag);
  }

  clear(): void {
    this.#rooms.clear();
  }

  /** Until when the sender may take to answer; Infinity where it owes no answer. `heardAt`: when it last showed that it runs. */
  patienceEndsAt(heardAt: number, graceMs: number): { readonly at: number; readonly oldest: number } {
    let oldest = Infinity;
    for (const { since } of this.#rooms.values()) oldest = Math.min(oldest, since);
    return { at: Math.min(Math.max(oldest, heardAt) + graceMs, oldest + PATIENCE * graceMs), oldest };
  }
}
