import type { RoomTag } from "../transport.ts";

const slotOf = (tag: RoomTag): number => tag & 0xffff;

/**
 * The sender's memory of rooms that the receiver has taken back: a chunk that becomes ready only afterwards must not be
 * written either. One entry a slot; it goes when the slot's next generation is first written to.
 */
export class RevokedRooms {
  readonly #bySlot = new Map<number, RoomTag>();

  add(tag: RoomTag): void {
    this.#bySlot.set(slotOf(tag), tag);
  }

  /** Asked once for each new batch. */
  has(tag: RoomTag): boolean {
    const revoked = this.#bySlot.get(slotOf(tag));
    if (revoked === undefined) return false;
    if (revoked === tag) return true;
    this.#bySlot.delete(slotOf(tag));
    return false;
  }
}
