import { readFileSync } from "node:fs";
import { KVTransferError } from "../../errors.ts";
import { PairErrors } from "../pairs/index.ts";
import type {
  InboundEnd,
  InboundEvents,
  OutboundEnd,
  OutboundEvents,
  Transport,
  TransportContext,
  TransportData,
  TransportFactory,
} from "../transport.ts";
import { Alarms } from "./alarms.ts";
import { type Choice, chooseDevices, describeVerdict } from "./device-choice.ts";
import { MAX_LANES, offerSchema, PROTOCOL_VERSION, railOf } from "./endpoint.ts";
import { Farewell } from "./farewell.ts";
import { pciAddressOfGpu } from "./gpu-region.ts";
import { VerbsInbound } from "./inbound.ts";
import { Lane } from "./lane.ts";
import type { LaneEvents } from "./lane-events.ts";
import { CARRIED_BYTES } from "./messages.ts";
import { type VerbsOptions, verbsOptionsSchema } from "./options.ts";
import { VerbsOutbound } from "./outbound.ts";
import { Rail } from "./rail.ts";
import { RefusedInbound } from "./refused-inbound.ts";
import type { RemoteLane } from "./remote-lane.ts";
import { RemoteKeys } from "./remote-keys.ts";
import { mergeRanges, type Range } from "./regions.ts";
import { placeOfPciDevice, surveyDevices } from "./survey.ts";
import { WriteSink } from "./write-sink.ts";

/** RDMA: memory is registered once with each rail, and each pair of ranks has queue pairs of its own. */
export class VerbsTransport implements Transport {
  readonly name = "verbs";
  readonly rails: readonly Rail[];
  readonly #context: TransportContext;
  readonly #options: VerbsOptions;
  readonly #ranges: readonly Range[];
  readonly #gather: number;
  readonly #alarms: Alarms;
  readonly #farewell: Farewell;

  /** @throws {VerbsError} where a device cannot be opened or takes no more memory. */
  constructor(context: TransportContext, options: VerbsOptions, choices: readonly Choice[]) {
    this.#context = context;
    this.#options = options;
    this.#ranges = mergeRanges(context.buffers);
    const writable = context.role === "decode";
    const rails: Rail[] = [];
    try {
      for (const choice of choices) {
        const { windows } = options;
        rails.push(new Rail({ choice, ranges: this.#ranges, writable, windows, reactor: context.reactor }));
      }
    } catch (error) {
      for (const rail of rails) rail.close();
      throw error;
    }
    this.rails = rails;
    this.#gather = Math.min(options.gatherLimit, ...rails.map(({ maxGather }) => maxGather));
    this.#alarms = new Alarms(context.reactor, context.now);
    this.#farewell = new Farewell(this.#alarms);
  }

  get queuePairs(): number {
    return this.rails.reduce((sum, rail) => sum + rail.laneCount, 0);
  }

  get isFull(): boolean {
    return this.#used + this.#places > this.#options.maxQueuePairs;
  }

  /** Of the budget: those that say good-bye take another's place already. */
  get #used(): number {
    return this.queuePairs - this.#farewell.size;
  }

  /** Lanes of a whole pair. */
  get #places(): number {
    return Math.min(this.rails.length * this.#options.queuePairs, MAX_LANES);
  }

  openInbound(peer: string, events: InboundEvents): InboundEnd {
    const errors = new PairErrors(peer, this.name);
    const places = this.#places;
    try {
      return new VerbsInbound({
        errors,
        events,
        alarms: this.#alarms,
        now: this.#context.now,
        fenceGraceMs: this.#options.fenceGraceMs,
        rejoinMs: this.#options.rejoinMs,
        takesKeys: this.rails.some(({ windowed }) => windowed),
        places,
        openLanes: (laneEvents) => {
          const names = Array.from({ length: places }, (_, place) => ({ id: place, place }));
          return this.#openLanes(names, (name) => this.#openLane(laneEvents, name));
        },
        openLane: (laneEvents, name) => this.#openLaneAgain(laneEvents, name),
        describeOffer: (lanes) => ({
          ...this.#describe(lanes),
          host: hostId(),
          withinHost: this.#options.withinHost,
          rails: this.rails.map(({ address, remoteKeys }) => ({ ...address, ...(remoteKeys && { keys: remoteKeys }) })),
          ranges: this.#ranges,
        }),
        dismiss: (lanes) => this.#farewell.dismiss(lanes),
      });
    } catch (error) {
      return new RefusedInbound(errors, error instanceof Error ? error.message : String(error));
    }
  }

  openOutbound(peer: string, data: unknown, events: OutboundEvents): OutboundEnd {
    const errors = new PairErrors(peer, this.name);
    const offer = errors.parse(offerSchema, data, "connect");
    if ("unusable" in offer) throw errors.unusable("connect", `decode cannot: ${offer.unusable}`);
    if (offer.host === hostId() && !(offer.withinHost && this.#options.withinHost)) {
      throw errors.unusable("connect", "the same host: verbs is for that only when asked for by name");
    }
    const connected = (lane: Lane, remote: Omit<RemoteLane, "id">): Lane => {
      try {
        lane.connect({ ...remote, address: railOf(offer.rails, remote.place) }, offer.receives);
        return lane;
      } catch (error) {
        lane.close();
        throw error;
      }
    };
    try {
      return new VerbsOutbound({
        errors,
        events,
        now: this.#context.now,
        gatherLimit: this.#gather,
        turnBytes: this.#options.maxWriteBytes,
        crawlRatio: this.#options.crawlRatio,
        openLanes: (laneEvents) =>
          this.#openLanes(offer.lanes, (remote) =>
            connected(this.#openLane(laneEvents, { id: remote.place, place: remote.place }), remote),
          ),
        openLane: (laneEvents, remote) => connected(this.#openLaneAgain(laneEvents, remote), remote),
        sinkOf: (lane) => new WriteSink(lane, this.#gather, errors),
        keys: new RemoteKeys(offer),
        describeEndpoint: (lanes) => ({
          ...this.#describe(lanes),
          carries: CARRIED_BYTES,
          rails: this.rails.map(({ address }) => address),
        }),
        dismiss: (lanes) => this.#farewell.dismiss(lanes),
      });
    } catch (error) {
      if (error instanceof KVTransferError) throw error;
      throw errors.unusable("connect", error instanceof Error ? error.message : String(error), error);
    }
  }

  close(): void {
    this.#alarms.close();
    for (const rail of this.rails) rail.close();
  }

  /**
   * A pair's lanes, without those on a rail that is down while another is not.
   * @throws where the budget or the device has none left; then none stays open.
   */
  #openLanes<T extends { readonly place: number }>(wanted: readonly T[], open: (each: T) => Lane): Lane[] {
    const up = wanted.filter(({ place }) => this.#problemOf(railOf(this.rails, place)) === undefined);
    const lanes: Lane[] = [];
    const taken = up.length > 0 ? up : wanted;
    this.#requireBudget(taken.length);
    try {
      for (const each of taken) lanes.push(open(each));
      return lanes;
    } catch (error) {
      for (const lane of lanes) lane.close();
      throw error;
    }
  }

  /** One that takes the place of another. @throws where its rail is down, or as {@link #openLanes}. */
  #openLaneAgain(events: LaneEvents, name: { readonly id: number; readonly place: number }): Lane {
    const problem = this.#problemOf(railOf(this.rails, name.place));
    if (problem !== undefined) throw new Error(problem);
    this.#requireBudget(1);
    return this.#openLane(events, name);
  }

  #openLane(events: LaneEvents, name: { readonly id: number; readonly place: number }): Lane {
    const rail = railOf(this.rails, name.place);
    if (rail.problem !== undefined) throw new Error(rail.problem);
    return new Lane(rail, this.#options, this.#gather, events, name);
  }

  #problemOf(rail: Rail): string | undefined {
    return rail.problem ?? (rail.down ? "its port is down" : undefined);
  }

  #requireBudget(count: number): void {
    const { maxQueuePairs } = this.#options;
    const used = this.#used;
    if (used + count <= maxQueuePairs) return;
    throw new Error(`${used} of ${maxQueuePairs} queue pairs are in use, ${count} more are needed`);
  }

  #describe(lanes: readonly Lane[]): TransportData {
    return {
      version: PROTOCOL_VERSION,
      receives: this.#options.receiveRequests,
      lanes: lanes.map(({ place, queuePair, packetSequence }) => ({
        place,
        queuePair: queuePair.number,
        packetSequence,
      })),
    };
  }
}

/** RDMA between hosts with a card, or soft-RoCE. Neither encrypted nor authenticated beyond the keys sent through the registry. */
export const createVerbsTransport: TransportFactory = (context) => {
  const options = verbsOptionsSchema.parse(context.options);
  const gpu = context.buffers.find((buffer) => buffer.gpu !== undefined)?.gpu;
  const near = options.near ?? (gpu === undefined ? undefined : pciAddressOfGpu(gpu));
  try {
    const { chosen, verdicts, problem } = chooseDevices(surveyDevices(), {
      devices: options.device,
      port: options.port,
      gidIndex: options.gidIndex,
      near: near === undefined ? undefined : placeOfPciDevice(near),
    });
    if (options.explain) for (const verdict of verdicts) console.error(`verbs ${describeVerdict(verdict)}`);
    return problem === undefined ? new VerbsTransport(context, options, chosen) : { unusable: problem };
  } catch (error) {
    return { unusable: error instanceof Error ? error.message : String(error) };
  }
};

let boot: string | undefined;

/** The same for all processes that run on one kernel. */
function hostId(): string {
  boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return boot;
}
