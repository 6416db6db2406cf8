import type { RoomTag, WriteBatch } from "../transport.ts";
import type { Flight } from "./flight.ts";

interface ParkedRoom {
  /** The lanes that were lost with writes of the room on them. */
  readonly lanes: Set<number>;
  readonly batches: WriteBatch[];
}

/**
 * The sender's lanes that were given up and for which the receiver has not answered: until it has, nobody knows whether
 * what was under way on them has landed. Rooms that had something there wait, "parked".
 */
export class LostLanes {
  readonly #flights = new Map<number, readonly Flight[]>();
  readonly #parked = new Map<RoomTag, ParkedRoom>();

  /** Lanes without an answer. */
  get ids(): readonly number[] {
    return [...this.#flights.keys()];
  }

  /** `flights`: what was under way, once for each list. */
  add(id: number, flights: readonly Flight[]): void {
    this.#flights.set(id, flights);
  }

  /** What was under way on the lane; undefined where it has been answered. */
  answer(id: number): readonly Flight[] | undefined {
    const flights = this.#flights.get(id);
    this.#flights.delete(id);
    return flights;
  }

  park(tag: RoomTag, id: number, batches: readonly WriteBatch[]): void {
    const room = this.#parked.get(tag);
    if (!room) this.#parked.set(tag, { lanes: new Set([id]), batches: [...batches] });
    else room.lanes.add(id);
  }

  isParked(tag: RoomTag): boolean {
    return this.#parked.has(tag);
  }

  /** One more batch of a parked room. False: the room is not parked. */
  push(batch: WriteBatch): boolean {
    const room = this.#parked.get(batch.tag);
    room?.batches.push(batch);
    return room !== undefined;
  }

  /** The room is parked no more; what waited. */
  unpark(tag: RoomTag): readonly WriteBatch[] {
    const room = this.#parked.get(tag);
    this.#parked.delete(tag);
    return room?.batches ?? [];
  }

  /** Rooms that are parked for that lane. */
  parkedFor(id: number): RoomTag[] {
    return [...this.#parked].filter(([, { lanes }]) => lanes.has(id)).map(([tag]) => tag);
  }

  takeAll(): WriteBatch[] {
    const batches = [...this.#parked.values()].flatMap((room) => room.batches);
    this.#parked.clear();
    this.#flights.clear();
    return batches;
  }
}
