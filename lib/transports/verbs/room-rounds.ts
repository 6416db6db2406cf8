import type { RoomTag } from "../transport.ts";

const slotOf = (tag: RoomTag): number => tag & 0xffff;
/** Generations are 16 bits, and go round. */
const isNewer = (tag: RoomTag, other: RoomTag): boolean => (((tag >>> 16) - (other >>> 16)) & 0xffff) < 0x8000;

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

  /** A slot's last room may be asked about before word of the one before has come. */
  #of(tag: RoomTag): RoomRound {
    const found = this.#bySlot.get(slotOf(tag));
    if (found?.tag === tag) return found;
    const made = { tag, round: 0, settledBytes: undefined };
    if (!found || isNewer(tag, found.tag)) this.#bySlot.set(slotOf(tag), made);
    return made;
  }
}
