import type { RoomTag } from "../transport.ts";
import type { Lane } from "./lane.ts";
import type { Message } from "./messages.ts";

/** More often than this a room is not asked for again: rounds are counted in a byte. */
export const MAX_ROUNDS = 255;

interface ExpectedRoom {
  /** What is told in an earlier round does not count. */
  round: number;
  /** Lanes that have brought all they had for it in this round. */
  told: Lane[];
  /** As many tell of it; 0 until one has. */
  lanes: number;
  totalBytes: number;
}

/** The rooms that a receiver expects, and what its lanes have told of them. */
export class Arrivals {
  readonly #rooms = new Map<RoomTag, ExpectedRoom>();

  get size(): number {
    return this.#rooms.size;
  }

  get tags(): readonly RoomTag[] {
    return [...this.#rooms.keys()];
  }

  expect(tag: RoomTag): void {
    this.#rooms.set(tag, { round: 0, told: [], lanes: 0, totalBytes: 0 });
  }

  /** False: it was not expected. */
  forget(tag: RoomTag): boolean {
    return this.#rooms.delete(tag);
  }

  clear(): void {
    this.#rooms.clear();
  }

  /** A lane's last write for the room has landed, `total` was said ahead of it. False: the room is not expected. */
  tell(lane: Lane, tag: RoomTag, total: Message): boolean {
    const room = this.#rooms.get(tag);
    if (!room) return false;
    if (total.round === room.round && !room.told.includes(lane)) {
      room.told.push(lane);
      room.lanes = total.lanes;
      room.totalBytes = total.value;
    }
    return true;
  }

  /** The bytes of a room of which every lane has told; it is expected no more. */
  take(tag: RoomTag): number | undefined {
    const room = this.#rooms.get(tag);
    if (!room || !isWhole(room)) return undefined;
    this.#rooms.delete(tag);
    return room.totalBytes;
  }

  /** Those of which every lane has told. */
  whole(): RoomTag[] {
    return [...this.#rooms].filter(([, room]) => isWhole(room)).map(([tag]) => tag);
  }

  /** Begins a round for every room that is not whole: what was under way is not counted any more. */
  restart(): { readonly tag: RoomTag; readonly round: number }[] {
    return [...this.#rooms]
      .filter(([, room]) => !isWhole(room))
      .map(([tag, room]) => {
        room.round++;
        room.told = [];
        room.lanes = 0;
        return { tag, round: room.round };
      });
  }
}

function isWhole({ told, lanes }: ExpectedRoom): boolean {
  return lanes > 0 && told.length >= lanes;
}
