import type { RoomTag } from "../transport.ts";
import type { Lane } from "./lane.ts";

/** A sender that is heard of, but does not answer, is given this many times the grace. */
const PATIENCE = 5;

interface RevokedRoom {
  since: number;
  /** Lanes by which something may still land for it. */
  readonly lanes: Set<Lane>;
  /** It waits for the devices, and not for the sender any more. */
  keysTaken: boolean;
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
    this.#rooms.set(tag, { since, lanes: new Set(lanes), keysTaken: false });
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

  clear(): void {
    this.#rooms.clear();
  }

  /** The room that was waited for longest. `heardAt`: when the sender last showed that it runs; `until`: how long it may take. */
  oldest(
    heardAt: number,
    graceMs: number,
  ): (RevokedRoom & { readonly tag: RoomTag; readonly until: number }) | undefined {
    let found: [RoomTag, RevokedRoom] | undefined;
    for (const each of this.#rooms) if (!found || each[1].since < found[1].since) found = each;
    if (!found) return undefined;
    const [tag, room] = found;
    const until = Math.min(Math.max(room.since, heardAt) + graceMs, room.since + PATIENCE * graceMs);
    return { tag, ...room, until };
  }

  /** The room's keys are being taken; the lanes by which it could be written to. Patience begins anew. */
  takeKeys(tag: RoomTag, now: number): readonly Lane[] {
    const room = this.#rooms.get(tag)!;
    room.keysTaken = true;
    room.since = now;
    return [...room.lanes];
  }
}
