import type { Alarms } from "./alarms.ts";
import { type Endpoint, railOf } from "./endpoint.ts";
import type { Lane } from "./lane.ts";
import type { LaneSet } from "./lane-set.ts";
import { MessageType, packQueuePair, unpackQueuePair } from "./messages.ts";
import { Rejoin } from "./rejoin.ts";

/** A lane that was offered has proven its path within this. */
const JOIN_MS = 5_000;

export interface LaneOfferSetup {
  readonly alarms: Alarms;
  readonly now: () => number;
  readonly rejoinMs: number;
  readonly lanes: LaneSet;
  /** Ids from here on are of lanes that take another's place. */
  readonly firstId: number;
  /** Whether there is a pair that a lane could join. */
  mayJoin(): boolean;
  /** @throws where it cannot be had. */
  open(name: { readonly id: number; readonly place: number }): Lane;
  /** It is connected: its path is to be proven. */
  greet(lane: Lane): void;
  failed(lane: Lane, status: string, message: string): void;
}

/** The receiver's lanes that take the place of others: offered to the sender, and made when it has accepted. */
export class LaneOffers {
  readonly #setup: LaneOfferSetup;
  readonly #rejoin: Rejoin;
  #nextId: number;

  constructor(setup: LaneOfferSetup) {
    this.#setup = setup;
    this.#nextId = setup.firstId;
    this.#rejoin = new Rejoin(setup.alarms, setup.now, setup.rejoinMs, (place) => this.#offer(place));
  }

  /** The place has no lane: one is offered after a while. */
  schedule(place: number): void {
    this.#rejoin.schedule(place);
  }

  /** The sender has made its end. */
  accept({ rails, receives }: Endpoint, { id, place, value }: { id: number; place: number; value: number }): void {
    const { lanes, greet, failed } = this.#setup;
    const lane = lanes.find(id);
    if (!lane || lane.place !== place || !lanes.joining.has(lane)) return;
    try {
      lane.connect({ ...unpackQueuePair(value), address: railOf(rails, place) }, receives);
    } catch (error) {
      return failed(lane, "", String(error));
    }
    greet(lane);
  }

  close(): void {
    this.#rejoin.close();
  }

  #offer(place: number): void {
    const { lanes, alarms, mayJoin, open, failed } = this.#setup;
    const { voice } = lanes;
    if (!mayJoin() || lanes.holds(place)) return;
    let lane: Lane;
    try {
      if (!voice) throw new Error("nothing to say it on");
      lane = open({ id: this.#nextId++, place });
    } catch {
      // The port is down still, or there is no queue pair left.
      return this.#rejoin.schedule(place);
    }
    lanes.joining.add(lane);
    const { queuePair, packetSequence } = lane;
    const value = packQueuePair({ queuePair: queuePair.number, packetSequence });
    voice.say({ type: MessageType.OFFER, tag: lane.id, lanes: place, value });
    alarms.after(JOIN_MS, () => {
      if (lanes.joining.has(lane)) failed(lane, "ETIMEDOUT", "no answer to a new queue pair");
    });
  }
}
