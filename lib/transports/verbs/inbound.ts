import type { KVTransferError } from "../../errors.ts";
import { carriedBytes, packFrames } from "../pairs/index.ts";
import type { InboundEnd, RoomTag, TransportData } from "../transport.ts";
import { Arrivals, MAX_ROUNDS } from "./arrivals.ts";
import { type Endpoint, endpointSchema, MAX_LANES, railOf } from "./endpoint.ts";
import { laneFailure } from "./failure.ts";
import type { InboundSetup } from "./inbound-setup.ts";
import type { Lane } from "./lane.ts";
import type { LaneEvents } from "./lane-events.ts";
import { LaneOffers } from "./lane-offers.ts";
import { LaneSet } from "./lane-set.ts";
import { type Message, MessageType } from "./messages.ts";
import { Revocations } from "./revocations.ts";

/** A queue pair in the error state has nothing more to report within this. */
const DRAIN_MS = 2_000;

/** The sender has said that it writes no more on a lane. */
interface Question {
  /** Where it was said: the answer is sure to be heard there, or the question to be repeated. */
  readonly by: Lane;
  readonly written: boolean;
}

/**
 * The receiver's end of a verbs pair. The device places the bytes; completions tell this side what has arrived. A room is
 * fenced when every lane has said so behind its last write for it, or has lost the room's keys, or when the queue pairs are
 * destroyed. A lane that fails is taken out while others are there, and tried again after a while.
 */
export class VerbsInbound implements InboundEnd, LaneEvents {
  readonly offer: TransportData;
  readonly #setup: InboundSetup;
  readonly #lanes = new LaneSet();
  readonly #arrivals = new Arrivals();
  readonly #revoked: Revocations;
  readonly #offers: LaneOffers;
  #state: "offered" | "greeting" | "connected" | "over" = "offered";
  #remote: Endpoint | undefined;
  /** Lanes that were given up here, and of which the sender has not said that it is done with them. */
  readonly #unanswered = new Set<number>();
  /** Lanes that the sender is done with; it waits for an answer. */
  readonly #asked = new Map<number, Question>();
  #hasLostLanes = false;

  /** @throws {VerbsError} where the device has no queue pair to give. */
  constructor(setup: InboundSetup) {
    this.#setup = setup;
    for (const lane of setup.openLanes(this)) this.#lanes.joining.add(lane);
    this.#revoked = new Revocations({
      ...setup,
      fenced: (tag) => {
        this.#endKeys(tag);
        setup.events.fenced(tag);
      },
      lost: (error) => this.#lose(error),
    });
    this.#offers = new LaneOffers({
      ...setup,
      lanes: this.#lanes,
      firstId: MAX_LANES,
      mayJoin: () => this.#state === "connected",
      open: (name) => setup.openLane(this, name),
      greet: (lane) => this.#greet(lane),
      failed: (lane, status, message) => this.failed(lane, status, message),
    });
    this.offer = setup.describeOffer(this.#lanes.open);
  }

  get unfenced(): number {
    return this.#revoked.size;
  }

  accept(data: unknown): void {
    const { errors } = this.#setup;
    if (this.#state !== "offered") throw errors.protocol("accept", `accepted while ${this.#state}`);
    const remote = errors.parse(endpointSchema, data, "accept");
    const offered = new Map(this.#lanes.open.map((lane) => [lane.place, lane]));
    if (remote.lanes.some(({ place }) => !offered.has(place))) {
      throw errors.protocol("accept", "a queue pair in a place that was not offered");
    }
    this.#remote = remote;
    this.#state = "greeting";
    for (const { place, queuePair, packetSequence } of remote.lanes) {
      offered.get(place)!.connect({ queuePair, packetSequence, address: railOf(remote.rails, place) }, remote.receives);
    }
    const taken = new Set(remote.lanes.map(({ place }) => place));
    for (const [place, lane] of offered) {
      if (taken.has(place)) this.#greet(lane);
      else if (this.#lanes.remove(lane)) lane.close();
    }
  }

  carry(frames: readonly Uint8Array[]): boolean {
    // Of several lanes the others live on when one fails, and what was said on that may not have been heard.
    if (this.#state !== "connected" || this.#setup.places > 1) return false;
    const byteLength = carriedBytes(frames);
    if (byteLength > this.#remote!.carries) return false;
    const body = new Uint8Array(byteLength);
    packFrames(frames, body);
    this.#lanes.voice?.say({ type: MessageType.CARRY, value: byteLength, body });
    return true;
  }

  expect(tag: RoomTag): void {
    this.#arrivals.expect(tag);
    for (const lane of this.#lanes.live) lane.giveKeys(tag);
  }

  forget(tag: RoomTag): void {
    this.#arrivals.forget(tag);
    if (!this.#revoked.has(tag)) this.#endKeys(tag);
  }

  revoke(tag: RoomTag): boolean {
    if (!this.#arrivals.forget(tag) || this.#state === "over") return true;
    this.#revoked.add(tag, [...this.#lanes.open, ...this.#lanes.leaving]);
    this.#lanes.voice?.say({ type: MessageType.REVOKE, tag });
    // Saying it may have found the last queue pair broken, which has fenced everything.
    return !this.#revoked.has(tag);
  }

  close(): void {
    if (this.#state === "over") return;
    const quiet = this.#state === "connected" && this.#arrivals.size === 0 && this.#revoked.size === 0;
    const live = quiet ? this.#lanes.live.splice(0) : [];
    this.#end();
    this.#setup.dismiss(live);
  }

  // What lanes report.

  heard(): void {
    this.#revoked.heard();
    this.#setup.events.heard();
  }

  message(lane: Lane, { type, tag, value, lanes }: Message): void {
    const { errors } = this.#setup;
    switch (type) {
      case MessageType.ALIVE:
        return;
      case MessageType.FENCED:
        return this.#revoked.answered(tag, lane);
      case MessageType.DOWN:
        return this.#onDown(tag, { by: lane, written: value !== 0 });
      case MessageType.ACCEPT:
        return this.#offers.accept(this.#remote!, { id: tag, place: lanes, value });
      case MessageType.BYE:
        return this.#lose(errors.lost("receive", "the peer has closed the pair"));
      default:
        this.#lose(errors.protocol("receive", `unexpected message of type ${type}`));
    }
  }

  notified(lane: Lane, tag: RoomTag): void {
    const { errors } = this.#setup;
    const total = lane.announced;
    if (total?.tag !== tag) return this.#lose(errors.protocol("receive", `no total ahead of room tag ${tag}`));
    if (this.#arrivals.tell(lane, tag, total)) return this.#arrive(tag);
    // The sender had written the last byte before it heard that the room was taken back, or was asked for once more.
    if (this.#revoked.has(tag) || this.#revoked.hasTakenKeys || this.#hasLostLanes) return;
    this.#lose(errors.protocol("receive", `a write for room tag ${tag}, which is not expected`));
  }

  failed(lane: Lane, status: string, message: string): void {
    if (this.#state === "over") return;
    const greeting = this.#state === "greeting" && this.#lanes.joining.size > 1;
    if (greeting || this.#lanes.hasOther(lane)) this.#drop(lane);
    else this.#lose(laneFailure(this.#setup.errors, "receive", status, message));
  }

  faltered(lane: Lane): void {
    if (this.#state === "connected" && this.#lanes.hasOtherRail(lane)) this.#drop(lane);
  }

  // Lanes that come and go.

  /** The acknowledgement of the first message proves that the path works, before any room depends on it. */
  #greet(lane: Lane): void {
    lane.say({ type: MessageType.HELLO }, { pending: 0, landed: () => this.#join(lane) });
  }

  #join(lane: Lane): void {
    if (!this.#lanes.join(lane)) return;
    for (const tag of this.#arrivals.tags) lane.giveKeys(tag);
    if (this.#lanes.voice === lane) this.#repeat();
    this.#answer();
    this.#connectIfGreeted();
  }

  #connectIfGreeted(): void {
    if (this.#state !== "greeting" || this.#lanes.joining.size > 0 || this.#lanes.live.length === 0) return;
    this.#state = "connected";
    for (let place = 0; place < this.#setup.places; place++) {
      if (!this.#lanes.holds(place)) this.#offers.schedule(place);
    }
    this.#setup.events.connected();
  }

  /** Takes a lane out of use; the others go on. */
  #drop(lane: Lane): void {
    if (!this.#lanes.remove(lane)) return;
    const { alarms, errors } = this.#setup;
    this.#hasLostLanes = true;
    this.#lanes.leaving.add(lane);
    if (!this.#asked.has(lane.id)) this.#unanswered.add(lane.id);
    const stop = alarms.after(DRAIN_MS, () => {
      if (this.#lanes.leaving.has(lane)) this.#lose(errors.lost("receive", "a failed queue pair does not let go"));
    });
    lane.drain(() => {
      stop();
      if (this.#lanes.leaving.delete(lane)) this.#onClosed(lane);
    });
  }

  #onClosed(lane: Lane): void {
    this.#revoked.releaseAll(lane);
    if (this.#state === "connected") this.#offers.schedule(lane.place);
    // What was said on it may not have been heard.
    this.#repeat();
    this.#answer();
    this.#connectIfGreeted();
  }

  #repeat(): void {
    const { voice } = this.#lanes;
    for (const tag of this.#unanswered) voice?.say({ type: MessageType.DOWN, tag });
    for (const tag of this.#revoked.tags) voice?.say({ type: MessageType.REVOKE, tag });
  }

  /** The sender writes no more on a lane. */
  #onDown(id: number, question: Question): void {
    this.#unanswered.delete(id);
    this.#asked.set(id, question);
    const lane = this.#lanes.find(id);
    if (lane && !this.#lanes.hasOther(lane)) {
      return this.#lose(this.#setup.errors.lost("receive", "the peer has given up the last queue pair"));
    }
    if (lane) this.#drop(lane);
    this.#answer();
  }

  /**
   * Once nothing more can come by the lanes that were given up, what has not come is asked for again. The sender writes
   * it anew only then, so that no room is written to that has been whole, and released, in the meantime.
   */
  #answer(): void {
    if (this.#lanes.leaving.size > 0) return;
    for (const tag of this.#arrivals.whole()) this.#arrive(tag);
    const asked = [...this.#asked];
    this.#asked.clear();
    const missing = asked.some(([, { written }]) => written) ? this.#arrivals.restart() : [];
    if (missing.some(({ round }) => round > MAX_ROUNDS)) {
      return this.#lose(this.#setup.errors.lost("receive", "queue pairs fail all the time"));
    }
    for (const [lane, questions] of Map.groupBy(asked, ([, { by }]) => by)) {
      for (const { tag, round } of missing) lane.say({ type: MessageType.RESEND, tag, round });
      for (const [tag] of questions) lane.say({ type: MessageType.CLOSED, tag });
    }
  }

  /** Reports the room if all of it is there. */
  #arrive(tag: RoomTag): void {
    // A lane that leaves might still be writing.
    if (this.#lanes.leaving.size > 0) return;
    const bytes = this.#arrivals.take(tag);
    if (bytes === undefined) return;
    this.#endKeys(tag);
    this.#setup.events.arrived(tag, bytes);
  }

  #endKeys(tag: RoomTag): void {
    for (const lane of this.#lanes.live) lane.endKeys(tag);
  }

  #lose(error: KVTransferError): void {
    if (this.#state === "over") return;
    this.#end();
    this.#setup.events.lost(error);
  }

  #end(): void {
    this.#state = "over";
    this.#offers.close();
    this.#arrivals.clear();
    this.#revoked.close();
    this.#lanes.close();
  }
}
