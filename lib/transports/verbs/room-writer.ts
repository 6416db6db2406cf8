import type { KVTransferError } from "../../errors.ts";
import { type PairErrors, type QueuedBatch, RoomQueue } from "../pairs/index.ts";
import type { RoomTag, WriteBatch } from "../transport.ts";
import { Flight } from "./flight.ts";
import type { Lane } from "./lane.ts";
import type { LaneSet } from "./lane-set.ts";
import type { RemoteKeys } from "./remote-keys.ts";
import type { RoomRounds } from "./room-rounds.ts";
import { NOTHING } from "./send-queue.ts";
import type { WriteSink } from "./write-sink.ts";

export interface RoomWriterSetup {
  readonly errors: PairErrors;
  readonly lanes: LaneSet;
  readonly rounds: RoomRounds;
  readonly keys: RemoteKeys;
  /** Bytes of one room before it is the next one's turn; a lane with less free is waited for. */
  readonly turnBytes: number;
  sinkOf(lane: Lane): WriteSink;
  /** Everything of the batch has landed, or it was cancelled and nothing of it is under way. */
  settled(flight: Flight): void;
  failed(batch: WriteBatch, error: KVTransferError): void;
}

/** Puts what is queued on the lanes: rooms in turn, striped. */
export class RoomWriter {
  readonly queue = new RoomQueue();
  readonly #setup: RoomWriterSetup;
  readonly #flights = new Map<WriteBatch, Flight>();
  readonly #sinks = new WeakMap<Lane, WriteSink>();
  #nextLane = 0;

  constructor(setup: RoomWriterSetup) {
    this.#setup = setup;
  }

  /** Batches of which something has been posted. */
  get inFlight(): number {
    return this.#flights.size;
  }

  find(batch: WriteBatch): Flight | undefined {
    return this.#flights.get(batch);
  }

  flightsOf(tag: RoomTag): Flight[] {
    return [...this.#flights.values()].filter(({ batch }) => batch.tag === tag);
  }

  /** The batch's turn will come; where its room has no keys yet, once it has. */
  push(batch: WriteBatch): void {
    if (this.#hasKeys(batch.tag)) this.queue.push(batch);
    else this.#setup.keys.hold(batch);
  }

  /** Everything of the room that is queued, or among `others`, fails now, the rest once nothing of it is under way. */
  cancel(tag: RoomTag, error: KVTransferError, others: readonly WriteBatch[]): void {
    const dropped = new Set([...this.queue.take(tag), ...this.#setup.keys.release(tag), ...others]);
    for (const flight of this.flightsOf(tag)) {
      dropped.delete(flight.batch);
      flight.cancelled ??= error;
      if (flight.pending === 0) dropped.add(flight.batch);
    }
    for (const batch of dropped) {
      this.#flights.delete(batch);
      this.#setup.failed(batch, error);
    }
  }

  /** Everything that is queued or under way. */
  takeAll(): WriteBatch[] {
    const batches = [...this.#flights.keys(), ...this.queue.takeAll(), ...this.#setup.keys.releaseAll()];
    this.#flights.clear();
    return batches;
  }

  /** Adds what fits of the room whose turn it is. False: the device must finish something first. */
  advance(queued: QueuedBatch): boolean {
    const { batch } = queued;
    const flight = this.#flightOf(batch);
    if (flight.told === 0 && !this.#hasKeys(batch.tag)) {
      // The lane by which it had some has failed.
      for (const each of this.queue.take(batch.tag)) this.#setup.keys.hold(each);
      return true;
    }
    try {
      if (!queued.pages.done) {
        const lane = this.#freeLane(batch.tag);
        // A lane may have failed, and the room be parked for it.
        if (this.queue.current !== queued) return true;
        if (!lane) return false;
        const sink = this.#sinkOf(lane).begin(flight, this.#setup.keys.of(lane, batch.tag)!);
        try {
          queued.pages.advance(this.#setup.turnBytes, sink);
        } finally {
          sink.end();
        }
        if (!queued.pages.done) {
          this.queue.next();
          return true;
        }
      }
      if (batch.last && !this.#endRoom(flight, batch.last)) return this.queue.current !== queued;
      if (this.queue.current !== queued) return true;
    } catch (error) {
      this.cancel(batch.tag, this.#setup.errors.native("write", error), []);
      return true;
    }
    this.queue.finishCurrent();
    flight.complete = true;
    flight.landed();
    return true;
  }

  /** The aux slot, and behind it, on every lane, word that all is written. False: not all of it fitted. */
  #endRoom(flight: Flight, { aux, totalBytes }: NonNullable<WriteBatch["last"]>): boolean {
    const { lanes: set, rounds, keys } = this.#setup;
    const { tag } = flight.batch;
    const lastAux = aux.writeCount - 1;
    let auxSlot = NOTHING;
    if (flight.told === 0) {
      const first = set.live.find((lane) => keys.of(lane, tag))!;
      flight.tellers = [first, ...set.live.filter((lane) => lane !== first)];
      const sink = this.#sinkOf(first).begin(flight, keys.of(first, tag)!);
      while (flight.auxWrites < lastAux) {
        if (first.sends.free < 1) first.flush();
        if (first.over || first.sends.free < 1) return false;
        first.sends.writeFrom(flight, sink.single(aux, flight.auxWrites++));
      }
      if (lastAux >= 0) auxSlot = sink.single(aux, lastAux);
    }
    const lanes = flight.tellers.length;
    for (; flight.told < lanes; flight.told++) {
      const lane = flight.tellers[flight.told]!;
      if (!lane.mayNotify) lane.flush();
      // The receiver asks again for a room that was told of to some only.
      if (lane.over && flight.told > 0) continue;
      if (!lane.mayNotify) return false;
      const total = { tag, bytes: totalBytes, round: rounds.roundOf(tag), lanes };
      lane.notify(flight, total, flight.told === 0 ? auxSlot : NOTHING);
    }
    return true;
  }

  /**
   * The lane with the least under way, if it takes a whole turn: faster ones are given more. Of lanes with nothing under
   * way, as a slow processor finds them, each has its turn.
   */
  #freeLane(tag: RoomTag): Lane | undefined {
    const { lanes, turnBytes, keys } = this.#setup;
    const live = lanes.live.length > 1 ? [...lanes.live] : lanes.live;
    let best: Lane | undefined;
    for (let place = 0; place < live.length; place++) {
      const lane = live[(this.#nextLane + place) % live.length]!;
      if (lane.sends.free < 1) lane.flush();
      if (lane.over || lane.sends.free < 1 || lane.sends.freeBytes < turnBytes) continue;
      if (!keys.of(lane, tag)) continue;
      if (!best || lane.sends.freeBytes > best.sends.freeBytes) best = lane;
    }
    if (best) this.#nextLane = live.indexOf(best) + 1;
    return best;
  }

  #hasKeys(tag: RoomTag): boolean {
    const { lanes, keys } = this.#setup;
    return !keys.areOfRooms || lanes.live.some((lane) => keys.of(lane, tag) !== undefined);
  }

  #sinkOf(lane: Lane): WriteSink {
    let sink = this.#sinks.get(lane);
    if (!sink) {
      sink = this.#setup.sinkOf(lane);
      this.#sinks.set(lane, sink);
    }
    return sink;
  }

  #flightOf(batch: WriteBatch): Flight {
    let flight = this.#flights.get(batch);
    if (!flight) {
      flight = new Flight(batch, (done) => {
        if (this.#flights.delete(batch)) this.#setup.settled(done);
      });
      this.#flights.set(batch, flight);
    }
    return flight;
  }
}
