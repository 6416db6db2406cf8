import type { KVTransferError } from "../../errors.ts";
import { type PairErrors, RevokedRooms, unpackFrames } from "../pairs/index.ts";
import type { OutboundEnd, OutboundEvents, RoomTag, TransportData, WriteBatch } from "../transport.ts";
import { laneFailure } from "./failure.ts";
import { Flight } from "./flight.ts";
import type { Lane } from "./lane.ts";
import type { LaneEvents } from "./lane-events.ts";
import { LaneSet } from "./lane-set.ts";
import { LostLanes } from "./lost-lanes.ts";
import { type Message, MessageType, packQueuePair, unpackQueuePair } from "./messages.ts";
import { Pace } from "./pace.ts";
import type { RemoteKeys } from "./remote-keys.ts";
import type { RemoteLane } from "./remote-lane.ts";
import { RoomRounds } from "./room-rounds.ts";
import { RoomWriter } from "./room-writer.ts";
import { NOTHING } from "./send-queue.ts";
import type { WriteSink } from "./write-sink.ts";

/** In a step, also on a processor so slow that one takes longer than the step should: most of what a step costs is not the turns. */
const TURNS_AT_LEAST = 8;

export interface OutboundSetup {
  readonly errors: PairErrors;
  readonly events: OutboundEvents;
  readonly now: () => number;
  readonly gatherLimit: number;
  /** Bytes of one room before it is the next one's turn; a lane with less free is waited for. */
  readonly turnBytes: number;
  /** How many times slower than another a rail may be. */
  readonly crawlRatio: number;
  /** Lanes that are connected to those of the offer, as many as can be had, one at least. */
  openLanes(events: LaneEvents): readonly Lane[];
  /** @throws where it cannot be had. */
  openLane(events: LaneEvents, remote: RemoteLane): Lane;
  sinkOf(lane: Lane): WriteSink;
  readonly keys: RemoteKeys;
  describeEndpoint(lanes: readonly Lane[]): TransportData;
  /** Says good-bye, then closes. */
  dismiss(lanes: readonly Lane[]): void;
}

/**
 * The sender's end of a verbs pair: writes of all rooms in turn, striped over the lanes. What was under way on a lane that
 * fails is written anew on the others, once the receiver has said what has not come.
 */
export class VerbsOutbound implements OutboundEnd, LaneEvents {
  readonly endpoint: TransportData;
  readonly destinationBases = undefined;
  readonly gatherLimit: number;
  readonly #setup: OutboundSetup;
  readonly #lanes = new LaneSet();
  readonly #writer: RoomWriter;
  readonly #revoked = new RevokedRooms();
  readonly #lost = new LostLanes();
  readonly #rounds = new RoomRounds();
  readonly #pace: Pace;
  /** Rooms to tell of once more, all of which has landed. */
  readonly #retold: { readonly tag: RoomTag; readonly bytes: number }[] = [];
  /** Batches that came for rooms already taken back; reported at the next step. */
  readonly #late: WriteBatch[] = [];
  #state: "dialled" | "connected" | "over" = "dialled";
  #confirmed = false;
  /** Whether lanes can stand in for each other. */
  #several: boolean;

  /** @throws {VerbsError} where the device has no queue pair to give, or refuses the peer's address. */
  constructor(setup: OutboundSetup) {
    this.#setup = setup;
    this.gatherLimit = setup.gatherLimit;
    this.#pace = new Pace(setup.crawlRatio);
    this.#writer = new RoomWriter({
      ...setup,
      lanes: this.#lanes,
      rounds: this.#rounds,
      settled: (flight) => this.#settle(flight),
      failed: (batch, error) => setup.events.failed(batch, error),
    });
    this.#lanes.live.push(...setup.openLanes(this));
    this.#several = this.#lanes.live.length > 1;
    this.endpoint = setup.describeEndpoint(this.#lanes.live);
  }

  confirm(): void {
    this.#confirmed = true;
  }

  write(batch: WriteBatch): void {
    if (this.#revoked.has(batch.tag)) this.#late.push(batch);
    else if (!this.#lost.push(batch)) this.#writer.push(batch);
  }

  cancel(tag: RoomTag, error: KVTransferError): void {
    this.#writer.cancel(tag, error, this.#lost.unpark(tag));
  }

  step(until: number): boolean {
    for (const batch of this.#late.splice(0)) this.#setup.events.failed(batch, this.#setup.errors.revoked());
    if (this.#state === "dialled") {
      this.#state = "connected";
      this.#setup.events.connected();
    }
    let busy = false;
    // A room whose keys may be gone by now must not be written to: what the receiver has said of it is heard before.
    const { areOfRooms } = this.#setup.keys;
    for (const lane of this.#lanes.open) if (areOfRooms || lane.sends.pending > 0) busy = lane.poll() || busy;
    if (this.#lanes.live.length > 1) this.#dropCrawling();
    this.#retell();
    for (let turn = 0; this.#confirmed && this.#state === "connected"; turn++) {
      const queued = this.#writer.queue.current;
      if (!queued) break;
      if (turn >= TURNS_AT_LEAST && this.#setup.now() >= until) {
        busy = true;
        break;
      }
      if (!this.#writer.advance(queued)) break;
    }
    for (const lane of this.#lanes.open) lane.flush();
    return busy && this.#state === "connected";
  }

  keepAlive(): void {
    if (this.#state === "connected" && this.#confirmed) this.#lanes.voice?.say({ type: MessageType.ALIVE });
  }

  close(): void {
    if (this.#state === "over") return;
    const quiet = this.#confirmed && this.#writer.inFlight === 0;
    this.#state = "over";
    const live = quiet ? this.#lanes.live.splice(0) : [];
    this.#lanes.close();
    this.#setup.dismiss(live);
  }

  // What lanes report.

  heard(): void {
    // The registry tells this side who is alive.
  }

  message(lane: Lane, { type, tag, round, lanes, value, body }: Message): void {
    const { errors } = this.#setup;
    switch (type) {
      case MessageType.HELLO:
        return this.#join(lane);
      case MessageType.REVOKE:
        this.#revoked.add(tag);
        this.cancel(tag, errors.revoked());
        for (const each of this.#lanes.open) each.say({ type: MessageType.FENCED, tag });
        return;
      case MessageType.KEY:
        return this.#onKey(lane, { tag, round, value });
      case MessageType.DOWN:
        return this.#onDown(tag);
      case MessageType.RESEND:
        return this.#resend(tag, round);
      case MessageType.CLOSED:
        return this.#onClosed(tag);
      case MessageType.OFFER:
        return this.#onOffer({ id: tag, place: lanes, ...unpackQueuePair(value) });
      case MessageType.CARRY:
        return this.#onCarried(body!);
      case MessageType.BYE:
        return this.#lose(errors.lost("receive", "the peer has closed the pair"));
      default:
        this.#lose(errors.protocol("receive", `unexpected message of type ${type}`));
    }
  }

  notified(_: Lane, tag: RoomTag): void {
    this.#lose(this.#setup.errors.protocol("receive", `a write with immediate ${tag} from a receiver`));
  }

  failed(lane: Lane, status: string, message: string): void {
    if (this.#lanes.hasOther(lane)) this.#drop(lane);
    else this.#lose(laneFailure(this.#setup.errors, "write", status, message));
  }

  faltered(lane: Lane): void {
    if (this.#lanes.hasOtherRail(lane)) this.#drop(lane);
  }

  #onCarried(body: Uint8Array): void {
    const frames = unpackFrames(body);
    if (frames) this.#setup.events.message?.(frames);
    else this.#lose(this.#setup.errors.protocol("receive", "a carried message of wrong lengths"));
  }

  #onKey(lane: Lane, key: Pick<Message, "tag" | "round" | "value">): void {
    const { errors, keys } = this.#setup;
    if (!keys.add(lane, key)) return this.#lose(errors.protocol("receive", `a key for range ${key.round} of a room`));
    if (!keys.of(lane, key.tag)) return;
    for (const batch of keys.release(key.tag)) if (!this.#lost.push(batch)) this.#writer.push(batch);
  }

  // Lanes that come and go.

  #join(lane: Lane): void {
    if (!this.#lanes.join(lane)) return;
    this.#several = true;
  }

  #onOffer(remote: RemoteLane): void {
    const { voice } = this.#lanes;
    try {
      const lane = this.#setup.openLane(this, remote);
      this.#lanes.joining.add(lane);
      const value = packQueuePair({ queuePair: lane.queuePair.number, packetSequence: lane.packetSequence });
      voice?.say({ type: MessageType.ACCEPT, tag: lane.id, lanes: lane.place, value });
    } catch {
      // The port is down, or there is no queue pair left: the receiver will ask again.
      voice?.say({ type: MessageType.DOWN, tag: remote.id });
    }
  }

  #dropCrawling(): void {
    for (const rail of this.#pace.observe(this.#setup.now(), this.#lanes.live)) {
      for (const lane of this.#lanes.live.filter((each) => each.rail === rail)) this.faltered(lane);
    }
  }

  /** Takes a lane out of use. Nothing is written on it any more; what was under way waits for the receiver's answer. */
  #drop(lane: Lane): void {
    if (!this.#lanes.remove(lane)) return;
    this.#pace.forget(lane);
    const flights = lane.sends.abandon().filter((poster) => poster instanceof Flight);
    lane.close();
    this.#lost.add(lane.id, flights);
    for (const { batch, cancelled } of flights) {
      if (!cancelled) this.#lost.park(batch.tag, lane.id, this.#writer.queue.take(batch.tag));
    }
    // What was said of others on this one may not have been heard.
    for (const tag of this.#lost.ids) this.#lanes.voice?.say({ type: MessageType.DOWN, tag, value: 1 });
  }

  /** The receiver has given up a lane: it is to be told that nothing more is written there. */
  #onDown(id: number): void {
    const lane = this.#lanes.find(id);
    if (!lane || this.#lanes.joining.has(lane)) {
      if (lane && this.#lanes.remove(lane)) lane.close();
      const written = this.#lost.ids.includes(id);
      this.#lanes.voice?.say({ type: MessageType.DOWN, tag: id, value: written ? 1 : 0 });
    } else this.failed(lane, "IBV_WC_REM_ABORT_ERR", "the peer has given up the queue pair");
  }

  /** The receiver lacks something of the room, and will not count it whole unless it is told so in that round. */
  #resend(tag: RoomTag, round: number): void {
    if (this.#rounds.roundOf(tag) === round) return;
    this.#rounds.setRound(tag, round);
    const bytes = this.#rounds.settledBytesOf(tag);
    if (bytes !== undefined) {
      this.#retold.push({ tag, bytes });
      return;
    }
    const flights = this.#writer.flightsOf(tag).filter(({ cancelled }) => !cancelled);
    if (!this.#lost.isParked(tag) && flights.every(({ told }) => told === 0)) return;
    for (const flight of flights) flight.restart();
    const waiting = [...this.#writer.queue.take(tag), ...this.#lost.unpark(tag)];
    for (const batch of new Set([...flights.map((flight) => flight.batch), ...waiting])) this.#writer.push(batch);
  }

  /** What was not asked for again has landed, or is not wanted any more. */
  #onClosed(id: number): void {
    const parked = this.#lost.parkedFor(id);
    const flights = this.#lost.answer(id);
    if (!flights) return;
    for (const flight of flights) flight.pending--;
    const { errors, events } = this.#setup;
    for (const tag of parked) {
      for (const batch of this.#lost.unpark(tag)) {
        const flight = this.#writer.find(batch);
        if (flight) flight.cancelled ??= errors.revoked();
        else events.failed(batch, errors.revoked());
      }
    }
    for (const flight of flights) flight.landed();
  }

  /** Rooms of which everything had landed before a lane was given up. */
  #retell(): void {
    const nobody = { pending: 0, landed: () => undefined };
    while (this.#retold.length > 0 && this.#lanes.voice?.mayNotify) {
      const { tag, bytes } = this.#retold.shift()!;
      this.#lanes.voice.notify(nobody, { tag, bytes, round: this.#rounds.roundOf(tag), lanes: 1 }, NOTHING);
    }
  }

  #settle({ batch, cancelled }: Flight): void {
    if (cancelled) return this.#setup.events.failed(batch, cancelled);
    if (batch.last && this.#several) this.#rounds.settle(batch.tag, batch.last.totalBytes);
    this.#setup.events.written(batch);
  }

  #lose(error: KVTransferError): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#lanes.close();
    const batches = new Set([...this.#writer.takeAll(), ...this.#lost.takeAll(), ...this.#late.splice(0)]);
    for (const batch of batches) this.#setup.events.failed(batch, error);
    this.#setup.events.lost(error);
  }
}
