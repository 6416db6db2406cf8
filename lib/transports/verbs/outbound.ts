import type { KVTransferError } from "../../errors.ts";
import { type PairErrors, type QueuedBatch, RevokedRooms, RoomQueue } from "../pairs/index.ts";
import type { OutboundEnd, OutboundEvents, RoomTag, TransportData, WriteBatch } from "../transport.ts";
import { laneFailure } from "./failure.ts";
import { Flight } from "./flight.ts";
import { type Lane, type LaneEvents, NOTHING } from "./lane.ts";
import { type Message, MessageType } from "./messages.ts";
import type { KeyTable } from "./regions.ts";
import { WriteSink } from "./write-sink.ts";

export interface OutboundSetup {
  readonly errors: PairErrors;
  readonly events: OutboundEvents;
  readonly now: () => number;
  readonly gatherLimit: number;
  /** Bytes of one room before it is the next one's turn; a lane with less free is waited for. */
  readonly turnBytes: number;
  /** Connected ones, each with the keys of the peer's memory. */
  openLanes(events: LaneEvents): readonly { readonly lane: Lane; readonly remoteKeys: KeyTable }[];
  describeEndpoint(lanes: readonly Lane[]): TransportData;
  /** Says good-bye, then closes. */
  dismiss(lanes: readonly Lane[]): void;
}

/** The sender's end of a verbs pair: writes of all rooms in turn, striped over the lanes. */
export class VerbsOutbound implements OutboundEnd, LaneEvents {
  readonly endpoint: TransportData;
  readonly destinationBases = undefined;
  readonly gatherLimit: number;
  readonly #setup: OutboundSetup;
  readonly #lanes: readonly Lane[];
  readonly #sinks: readonly WriteSink[];
  readonly #queue = new RoomQueue();
  readonly #flights = new Map<WriteBatch, Flight>();
  readonly #revoked = new RevokedRooms();
  /** Batches that came for rooms already taken back; reported at the next step. */
  readonly #late: WriteBatch[] = [];
  #state: "dialled" | "connected" | "over" = "dialled";
  #confirmed = false;
  #turn = 0;

  /** @throws {VerbsError} where the device has no queue pair to give, or refuses the peer's address. */
  constructor(setup: OutboundSetup) {
    const { errors, gatherLimit } = setup;
    this.#setup = setup;
    this.gatherLimit = gatherLimit;
    const opened = setup.openLanes(this);
    this.#lanes = opened.map(({ lane }) => lane);
    this.#sinks = opened.map(({ lane, remoteKeys }) => new WriteSink(lane, remoteKeys, gatherLimit, errors));
    this.endpoint = setup.describeEndpoint(this.#lanes);
  }

  confirm(): void {
    this.#confirmed = true;
  }

  write(batch: WriteBatch): void {
    if (this.#revoked.has(batch.tag)) this.#late.push(batch);
    else this.#queue.push(batch);
  }

  cancel(tag: RoomTag, error: KVTransferError): void {
    const dropped = new Set(this.#queue.take(tag));
    for (const flight of this.#flights.values()) {
      if (flight.batch.tag !== tag) continue;
      dropped.delete(flight.batch);
      flight.cancelled ??= error;
      if (flight.pending === 0) dropped.add(flight.batch);
    }
    for (const batch of dropped) {
      this.#flights.delete(batch);
      this.#setup.events.failed(batch, error);
    }
  }

  step(until: number): boolean {
    for (const batch of this.#late.splice(0)) this.#setup.events.failed(batch, this.#setup.errors.revoked());
    if (this.#state === "dialled") {
      this.#state = "connected";
      this.#setup.events.connected();
    }
    let busy = false;
    for (const lane of this.#lanes) if (lane.pending > 0) busy = lane.poll() || busy;
    while (this.#confirmed && this.#state === "connected") {
      const queued = this.#queue.current;
      if (!queued) break;
      if (this.#setup.now() >= until) {
        busy = true;
        break;
      }
      if (!this.#advance(queued)) break;
    }
    for (const lane of this.#lanes) lane.flush();
    return busy && this.#state === "connected";
  }

  keepAlive(): void {
    if (this.#state === "connected" && this.#confirmed) this.#lanes[0]!.say(MessageType.ALIVE);
  }

  close(): void {
    if (this.#state === "over") return;
    const quiet = this.#confirmed && this.#flights.size === 0;
    this.#state = "over";
    if (quiet) this.#setup.dismiss(this.#lanes);
    else for (const lane of this.#lanes) lane.close();
  }

  // What lanes report.

  heard(): void {
    // The registry tells this side who is alive.
  }

  message(_: Lane, { type, tag }: Message): void {
    const { errors } = this.#setup;
    switch (type) {
      case MessageType.HELLO:
        return;
      case MessageType.REVOKE:
        this.#revoked.add(tag);
        this.cancel(tag, errors.revoked());
        for (const lane of this.#lanes) lane.say(MessageType.FENCED, tag);
        return;
      case MessageType.BYE:
        return this.#lose(errors.lost("receive", "the peer has closed the pair"));
      default:
        this.#lose(errors.protocol("receive", `unexpected message of type ${type}`));
    }
  }

  notified(_: Lane, tag: RoomTag): void {
    this.#lose(this.#setup.errors.protocol("receive", `a write with immediate ${tag} from a receiver`));
  }

  failed(_: Lane, status: string, message: string): void {
    this.#lose(laneFailure(this.#setup.errors, "write", status, message));
  }

  // Posting.

  /** Adds what fits of the room whose turn it is. False: the device must finish something first. */
  #advance(queued: QueuedBatch): boolean {
    const { batch } = queued;
    const flight = this.#flightOf(batch);
    try {
      if (!queued.pages.done) {
        const index = this.#freeLane();
        if (index < 0) return false;
        const sink = this.#sinks[index]!.begin(flight);
        try {
          queued.pages.advance(this.#setup.turnBytes, sink);
        } finally {
          sink.end();
        }
        if (!queued.pages.done) {
          this.#queue.next();
          return true;
        }
      }
      if (batch.last && !this.#endRoom(flight, batch.last)) return false;
    } catch (error) {
      this.cancel(batch.tag, this.#setup.errors.native("write", error));
      return true;
    }
    this.#queue.finishCurrent();
    flight.complete = true;
    flight.landed();
    return true;
  }

  /** The aux slot, and behind it, on every lane, word that all is written. False: not all of it fitted. */
  #endRoom(flight: Flight, { aux, totalBytes }: NonNullable<WriteBatch["last"]>): boolean {
    const first = this.#lanes[0]!;
    const sink = this.#sinks[0]!.begin(flight);
    const lastAux = aux.writeCount - 1;
    while (flight.auxWrites < lastAux) {
      if (first.free < 1) first.flush();
      if (first.free < 1) return false;
      first.writeFrom(flight, sink.single(aux, flight.auxWrites++));
    }
    for (; flight.lanesTold < this.#lanes.length; flight.lanesTold++) {
      const lane = this.#lanes[flight.lanesTold]!;
      if (!lane.mayNotify) lane.flush();
      if (!lane.mayNotify) return false;
      const carriesAux = flight.lanesTold === 0 && lastAux >= 0;
      lane.notify(flight, flight.batch.tag, totalBytes, carriesAux ? sink.single(aux, lastAux) : NOTHING);
    }
    return true;
  }

  /** The next lane that takes a whole turn; -1 where none does. */
  #freeLane(): number {
    for (let i = 0; i < this.#lanes.length; i++) {
      const index = (this.#turn + i) % this.#lanes.length;
      const lane = this.#lanes[index]!;
      if (lane.free < 1) lane.flush();
      if (lane.free < 1 || lane.freeBytes < this.#setup.turnBytes) continue;
      this.#turn = index + 1;
      return index;
    }
    return -1;
  }

  #flightOf(batch: WriteBatch): Flight {
    let flight = this.#flights.get(batch);
    if (!flight) {
      flight = new Flight(batch, (done) => this.#settle(done));
      this.#flights.set(batch, flight);
    }
    return flight;
  }

  #settle({ batch, cancelled }: Flight): void {
    if (!this.#flights.delete(batch)) return;
    if (cancelled) this.#setup.events.failed(batch, cancelled);
    else this.#setup.events.written(batch);
  }

  #lose(error: KVTransferError): void {
    if (this.#state === "over") return;
    this.#state = "over";
    for (const lane of this.#lanes) lane.close();
    const batches = new Set([...this.#flights.keys(), ...this.#queue.takeAll(), ...this.#late.splice(0)]);
    this.#flights.clear();
    for (const batch of batches) this.#setup.events.failed(batch, error);
    this.#setup.events.lost(error);
  }
}
