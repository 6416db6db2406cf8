import { KVTransferError } from "../errors.ts";
import type { RelayedHeaders } from "../protocol/index.ts";
import type { OutboundPair } from "./outbound-pair.ts";
import type { Destination, EarlyRoom } from "./prefill-rooms.ts";
import { RecentFailures } from "./recent-failures.ts";

type Destinations = EarlyRoom["destinations"];

/** What a decode rank tells of a room: by which pair, where its pages are. */
export interface Announcement {
  readonly pair: OutboundPair;
  readonly header: RelayedHeaders["room"];
  readonly pages: Int32Array<ArrayBuffer>;
}

export interface EarlyRoomsOptions {
  /** How many may wait. */
  readonly capacity: number;
  /** For how long each may wait, in milliseconds. */
  readonly waitMs: number;
  readonly now: () => number;
  /** Told of each decode rank of a room that is given up. */
  readonly dropped: (destination: Destination, error: KVTransferError) => void;
}

/** Gathers who wants a room's pages, also before prefill's engine has made the sender, or after it has failed. */
export class EarlyRooms {
  readonly #options: EarlyRoomsOptions;
  readonly #rooms = new Map<number, EarlyRoom>();
  readonly #recentFailures = new RecentFailures();
  /** Of rooms that were given up before their sender came: why, for the sender. */
  readonly #abandoned = new RecentFailures();

  constructor(options: EarlyRoomsOptions) {
    this.#options = options;
  }

  /** Rooms that wait for their sender. */
  get size(): number {
    return this.#rooms.size;
  }

  /**
   * Adds a decode rank to the room's destinations: to `live` where its sender is there, else to those that wait for it.
   * @throws {KVTransferError} what the decode rank is to be told instead
   */
  announce({ pair, header, pages }: Announcement, live: Destinations | undefined): void {
    const failure = live ? undefined : this.#recentFailures.get(header.room, this.#options.now());
    if (failure) throw failure;
    const destinations = live ?? this.#wait(header.room);
    if (destinations.has(pair)) {
      const details = { step: "room", room: header.room };
      throw new KVTransferError("REJECTED", `room ${header.room} is live already`, details);
    }
    pair.rooms++;
    const nothing = { planned: 0, bytes: 0, lastQueued: false, done: false };
    destinations.set(pair, { pair, room: header, pages, inFlight: new Set(), ...nothing });
  }

  /** Why nobody will ask for the room any more, if that is known already. */
  abandoned(room: number): KVTransferError | undefined {
    return this.#abandoned.get(room, this.#options.now());
  }

  /** A decode rank says that it will never ask for the room, whose sender has not come yet. */
  abandon(room: number, error: KVTransferError): void {
    if (!this.#rooms.has(room)) this.#abandoned.add(room, error, this.#options.now());
  }

  /** The sender has come: what was gathered is its. */
  take(room: number): Destinations {
    const known = this.#rooms.get(room);
    this.#rooms.delete(room);
    this.#recentFailures.forget(room);
    this.#abandoned.forget(room);
    return known?.destinations ?? new Map();
  }

  /** A sender's room has failed: whoever asks for it late is told. */
  failed(room: number, error: KVTransferError): void {
    this.#recentFailures.add(room, error, this.#options.now());
  }

  tick(now: number): void {
    const error = new KVTransferError("DEADLINE", "prefill got no such request in time", { step: "bootstrap" });
    for (const [room, { deadlineAt }] of this.#rooms) if (now >= deadlineAt) this.drop(room, error, () => true);
  }

  /** Gives up the rooms that a lost pair was to carry. */
  dropAllOf(pair: OutboundPair, error: KVTransferError): void {
    for (const room of this.#rooms.keys()) this.drop(room, error, (each) => each.pair === pair);
  }

  /** Gives a room up if one of its destinations is such. */
  drop(room: number, error: KVTransferError, which: (destination: Destination) => boolean): void {
    const known = this.#rooms.get(room);
    if (!known || ![...known.destinations.values()].some(which)) return;
    this.#rooms.delete(room);
    this.failed(room, error);
    this.#abandoned.add(room, error, this.#options.now());
    for (const destination of known.destinations.values()) {
      destination.pair.rooms--;
      this.#options.dropped(destination, error);
    }
  }

  #wait(room: number): Destinations {
    const known = this.#rooms.get(room);
    if (known) return known.destinations;
    const { capacity, waitMs, now } = this.#options;
    if (this.#rooms.size >= capacity) {
      throw new KVTransferError("REJECTED", `${capacity} rooms wait for requests already`, { step: "room" });
    }
    const destinations: Destinations = new Map();
    this.#rooms.set(room, { destinations, deadlineAt: now() + waitMs });
    return destinations;
  }
}
