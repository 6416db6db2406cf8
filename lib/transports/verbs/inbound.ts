import type { KVTransferError } from "../../errors.ts";
import type { PairErrors } from "../pairs/index.ts";
import type { InboundEnd, InboundEvents, RoomTag, TransportData } from "../transport.ts";
import type { Alarms } from "./alarms.ts";
import { endpointSchema } from "./endpoint.ts";
import { laneFailure } from "./failure.ts";
import type { Lane, LaneEvents } from "./lane.ts";
import { type Message, MessageType } from "./messages.ts";

/** A sender that is heard of, but does not answer, is given this many times the grace. */
const PATIENCE = 5;

export interface InboundSetup {
  readonly errors: PairErrors;
  readonly events: InboundEvents;
  readonly alarms: Alarms;
  readonly now: () => number;
  readonly fenceGraceMs: number;
  openLanes(events: LaneEvents): readonly Lane[];
  describeOffer(lanes: readonly Lane[]): TransportData;
  /** Says good-bye, then closes. */
  dismiss(lanes: readonly Lane[]): void;
}

interface ExpectedRoom {
  /** Lanes that have written all they had for it. */
  lanes: number;
  totalBytes: number;
}

interface RevokedRoom {
  readonly since: number;
  /** Lanes that write no more for it. */
  lanes: number;
}

/**
 * The receiver's end of a verbs pair. The device places the bytes; completions tell this side what has arrived. A room is
 * fenced when every lane has said so behind its last write for it, or when the queue pairs are destroyed.
 */
export class VerbsInbound implements InboundEnd, LaneEvents {
  readonly offer: TransportData;
  readonly #setup: InboundSetup;
  readonly #lanes: readonly Lane[];
  readonly #expected = new Map<RoomTag, ExpectedRoom>();
  readonly #revoked = new Map<RoomTag, RevokedRoom>();
  #state: "offered" | "greeting" | "connected" | "over" = "offered";
  #heardAt = 0;
  #stopGrace: (() => void) | undefined;

  /** @throws {VerbsError} where the device has no queue pair to give. */
  constructor(setup: InboundSetup) {
    this.#setup = setup;
    this.#lanes = setup.openLanes(this);
    this.offer = setup.describeOffer(this.#lanes);
  }

  get unfenced(): number {
    return this.#revoked.size;
  }

  accept(endpoint: unknown): void {
    const { errors, events } = this.#setup;
    if (this.#state !== "offered") throw errors.protocol("accept", `accepted while ${this.#state}`);
    const { lanes, rails, receives } = errors.parse(endpointSchema, endpoint, "accept");
    if (lanes.length !== this.#lanes.length) {
      throw errors.protocol("accept", `expected ${this.#lanes.length} queue pairs, not ${lanes.length}`);
    }
    this.#state = "greeting";
    for (const [index, lane] of this.#lanes.entries()) {
      const { rail, queuePair, packetSequence } = lanes[index]!;
      lane.connect({ queuePair, packetSequence, address: rails[rail]!, receives });
    }
    // The acknowledgement of the first message proves that the path works, before any room depends on it.
    let greeted = 0;
    for (const lane of this.#lanes) {
      const landed = (): void => {
        if (++greeted < this.#lanes.length || this.#state !== "greeting") return;
        this.#state = "connected";
        events.connected();
      };
      lane.say(MessageType.HELLO, 0, { pending: 0, landed });
    }
  }

  expect(tag: RoomTag): void {
    this.#expected.set(tag, { lanes: 0, totalBytes: 0 });
  }

  forget(tag: RoomTag): void {
    this.#expected.delete(tag);
  }

  revoke(tag: RoomTag): boolean {
    if (!this.#expected.delete(tag) || this.#state === "over") return true;
    this.#revoked.set(tag, { since: this.#setup.now(), lanes: 0 });
    this.#lanes[0]!.say(MessageType.REVOKE, tag);
    // Saying it may have found the queue pair broken, which has fenced everything.
    if (!this.#revoked.has(tag)) return true;
    this.#stopGrace ??= this.#setup.alarms.after(this.#setup.fenceGraceMs, () => this.#onGrace());
    return false;
  }

  close(): void {
    if (this.#state === "over") return;
    const quiet = this.#state === "connected" && this.#expected.size === 0 && this.#revoked.size === 0;
    this.#end();
    if (quiet) this.#setup.dismiss(this.#lanes);
    else for (const lane of this.#lanes) lane.close();
  }

  // What lanes report.

  heard(): void {
    this.#heardAt = this.#setup.now();
    this.#setup.events.heard();
  }

  message(_: Lane, { type, tag, value }: Message): void {
    switch (type) {
      case MessageType.ALIVE:
        return;
      case MessageType.TOTAL: {
        const room = this.#expected.get(tag);
        if (room) room.totalBytes = value;
        return;
      }
      case MessageType.FENCED:
        return this.#onFenced(tag);
      case MessageType.BYE:
        return this.#lose(this.#setup.errors.lost("receive", "the peer has closed the pair"));
      default:
        this.#lose(this.#setup.errors.protocol("receive", `unexpected message of type ${type}`));
    }
  }

  notified(_: Lane, tag: RoomTag): void {
    const room = this.#expected.get(tag);
    if (!room) {
      // The sender had written the last byte before it heard that the room was taken back.
      if (this.#revoked.has(tag)) return;
      return this.#lose(this.#setup.errors.protocol("receive", `a write for room tag ${tag}, which is not expected`));
    }
    if (++room.lanes < this.#lanes.length) return;
    this.#expected.delete(tag);
    this.#setup.events.arrived(tag, room.totalBytes);
  }

  failed(_: Lane, status: string, message: string): void {
    this.#lose(laneFailure(this.#setup.errors, "receive", status, message));
  }

  #onFenced(tag: RoomTag): void {
    const room = this.#revoked.get(tag);
    if (!room || ++room.lanes < this.#lanes.length) return;
    this.#revoked.delete(tag);
    this.#setup.events.fenced(tag);
  }

  /** Does a sender that was asked to stop still show that it runs? If not, its way to our memory is closed. */
  #onGrace(): void {
    this.#stopGrace = undefined;
    let oldest = Infinity;
    for (const { since } of this.#revoked.values()) oldest = Math.min(oldest, since);
    if (oldest === Infinity) return;
    const { now, fenceGraceMs, errors, alarms } = this.#setup;
    const forgivenUntil = Math.min(Math.max(oldest, this.#heardAt) + fenceGraceMs, oldest + PATIENCE * fenceGraceMs);
    const left = forgivenUntil - now();
    if (left > 0) this.#stopGrace = alarms.after(left, () => this.#onGrace());
    else {
      const message = `no answer to a revoked room in ${Math.round(now() - oldest)} ms; the queue pairs were closed`;
      this.#lose(errors.lost("fence", message, { status: "ETIMEDOUT" }));
    }
  }

  #lose(error: KVTransferError): void {
    if (this.#state === "over") return;
    this.#end();
    for (const lane of this.#lanes) lane.close();
    this.#setup.events.lost(error);
  }

  #end(): void {
    this.#state = "over";
    this.#stopGrace?.();
    this.#expected.clear();
    this.#revoked.clear();
  }
}
