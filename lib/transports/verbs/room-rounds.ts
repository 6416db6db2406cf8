import type { RoomTag } from "../transport.ts";

const slotOf = (tag: RoomTag): number => tag & 0xffff;

interface RoomRound {
  readonly tag: RoomTag;
  round: number;
  /** The bytes of a room all of which has landed. */
  settledBytes: number | undefined;
}

/** What a sender remembers of rooms that may be asked for again: one entry a slot of the receiver's. */
export class RoomRounds {
  readonly #bySlot = new Map<number, RoomRound>();

  /** In which round the room is told of. */
  roundOf(tag: RoomTag): number {
    return this.#find(tag)?.round ?? 0;
  }

  settledBytesOf(tag: RoomTag): number | undefined {
    return this.#find(tag)?.settledBytes;
  }

  setRound(tag: RoomTag, round: number): void {
    this.#of(tag).round = round;
  }

  settle(tag: RoomTag, bytes: number): void {
    this.#of(tag).settledBytes = bytes;
  }

  #find(tag: RoomTag): RoomRound | undefined {
    const found = this.#bySlot.get(slotOf(tag));
    return found?.tag === tag ? found : undefined;
  }

  #of(tag: RoomTag): RoomRound {
    let found = this.#find(tag);
    if (!found) this.#bySlot.set(slotOf(tag), (found = { tag, round: 0, settledBytes: undefined }));
    return found;
  }
}
