import type { RoomTag, WriteBatch } from "../transport.ts";
import { type Offer, railOf } from "./endpoint.ts";
import type { Lane } from "./lane.ts";
import type { Message } from "./messages.ts";
import { KeyTable } from "./regions.ts";

interface RoomKeys {
  readonly tag: RoomTag;
  readonly keys: number[];
  table: KeyTable | undefined;
}

/**
 * The keys by which a sender may write to its receiver's memory: of a rail as a whole, or of one room on one lane, where the
 * receiver uses memory windows. Batches of a room without a key wait here.
 */
export class RemoteKeys {
  readonly #offer: Pick<Offer, "ranges" | "rails">;
  readonly #byLane = new WeakMap<Lane, KeyTable | Map<number, RoomKeys>>();
  readonly #waiting = new Map<RoomTag, WriteBatch[]>();

  constructor(offer: Pick<Offer, "ranges" | "rails">) {
    this.#offer = offer;
  }

  /** Whether rooms have keys of their own, on one of the rails at least. */
  get areOfRooms(): boolean {
    return this.#offer.rails.some(({ keys }) => keys === undefined);
  }

  of(lane: Lane, tag: RoomTag): KeyTable | undefined {
    const known = this.#ofLane(lane);
    if (known instanceof KeyTable) return known;
    const room = known.get(slotOf(tag));
    return room?.tag === tag ? room.table : undefined;
  }

  /** A room's key for one range has come. False: there is no such range, or nothing to have it for. */
  add(lane: Lane, { tag, round: range, value }: Pick<Message, "tag" | "round" | "value">): boolean {
    const known = this.#ofLane(lane);
    const { ranges } = this.#offer;
    if (known instanceof KeyTable || range >= ranges.length) return false;
    let room = known.get(slotOf(tag));
    if (room?.tag !== tag) {
      room = { tag, keys: [], table: undefined };
      known.set(slotOf(tag), room);
    }
    // They come in the ranges' order.
    room.keys[range] = value;
    if (range === ranges.length - 1) room.table = new KeyTable(ranges, room.keys);
    return true;
  }

  hold(batch: WriteBatch): void {
    const batches = this.#waiting.get(batch.tag);
    if (batches) batches.push(batch);
    else this.#waiting.set(batch.tag, [batch]);
  }

  /** What waited for the room's keys. */
  release(tag: RoomTag): readonly WriteBatch[] {
    const batches = this.#waiting.get(tag) ?? [];
    this.#waiting.delete(tag);
    return batches;
  }

  releaseAll(): WriteBatch[] {
    const batches = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    return batches;
  }

  #ofLane(lane: Lane): KeyTable | Map<number, RoomKeys> {
    let known = this.#byLane.get(lane);
    if (!known) {
      const { keys } = railOf(this.#offer.rails, lane.place);
      known = keys ? new KeyTable(this.#offer.ranges, keys) : new Map<number, RoomKeys>();
      this.#byLane.set(lane, known);
    }
    return known;
  }
}

function slotOf(tag: RoomTag): number {
  return tag & 0xffff;
}
