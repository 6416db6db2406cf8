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
import { offerSchema, PROTOCOL_VERSION } from "./endpoint.ts";
import { VerbsInbound } from "./inbound.ts";
import { Lane, type LaneEvents } from "./lane.ts";
import { Farewell } from "./farewell.ts";
import { type VerbsOptions, verbsOptionsSchema } from "./options.ts";
import { VerbsOutbound } from "./outbound.ts";
import { Rail } from "./rail.ts";
import { RefusedInbound } from "./refused-inbound.ts";
import { KeyTable, mergeRanges, type Range } from "./regions.ts";
import { placeOfPciDevice, surveyDevices } from "./survey.ts";

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
        rails.push(new Rail({ choice, ranges: this.#ranges, writable, reactor: context.reactor }));
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

  /** Of the budget `maxQueuePairs`. */
  get queuePairs(): number {
    return this.rails.reduce((sum, rail) => sum + rail.laneCount, 0);
  }

  openInbound(peer: string, events: InboundEvents): InboundEnd {
    const errors = new PairErrors(peer, this.name);
    try {
      return new VerbsInbound({
        errors,
        events,
        alarms: this.#alarms,
        now: this.#context.now,
        fenceGraceMs: this.#options.fenceGraceMs,
        openLanes: (laneEvents) =>
          this.#openLanes(this.rails.length * this.#options.queuePairs, laneEvents, (lane) => lane),
        describeOffer: (lanes) => ({
          ...this.#describe(lanes),
          host: hostId(),
          withinHost: this.#options.withinHost,
          rails: this.rails.map((rail) => ({ ...rail.address, keys: rail.remoteKeys })),
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
    try {
      return new VerbsOutbound({
        errors,
        events,
        now: this.#context.now,
        gatherLimit: this.#gather,
        turnBytes: this.#options.maxWriteBytes,
        openLanes: (laneEvents) => {
          const { receives, rails, ranges } = offer;
          return this.#openLanes(offer.lanes.length, laneEvents, (lane, index) => {
            const { rail, queuePair, packetSequence } = offer.lanes[index]!;
            const { keys, ...address } = rails[rail]!;
            lane.connect({ queuePair, packetSequence, address, receives });
            return { lane, remoteKeys: new KeyTable(ranges, keys) };
          });
        },
        describeEndpoint: (lanes) => ({
          ...this.#describe(lanes),
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

  /** Lane i on rail i, in turn. @throws where the budget or the device has none left; then none stays open. */
  #openLanes<T>(count: number, events: LaneEvents, prepare: (lane: Lane, index: number) => T): T[] {
    const { maxQueuePairs } = this.#options;
    const used = this.queuePairs;
    if (used + count > maxQueuePairs) {
      throw new Error(`${used} of ${maxQueuePairs} queue pairs are in use, ${count} more are needed`);
    }
    const lanes: Lane[] = [];
    try {
      return Array.from({ length: count }, (_, index) => {
        const rail = this.rails[index % this.rails.length]!;
        if (rail.problem !== undefined) throw new Error(rail.problem);
        const lane = new Lane(rail, this.#options, this.#gather, events);
        lanes.push(lane);
        return prepare(lane, index);
      });
    } catch (error) {
      for (const lane of lanes) lane.close();
      throw error;
    }
  }

  #describe(lanes: readonly Lane[]): TransportData {
    return {
      version: PROTOCOL_VERSION,
      receives: this.#options.receiveRequests,
      lanes: lanes.map(({ rail, queuePair, packetSequence }) => ({
        rail: this.rails.indexOf(rail),
        queuePair: queuePair.number,
        packetSequence,
      })),
    };
  }
}

/** RDMA between hosts with a card, or soft-RoCE. Neither encrypted nor authenticated beyond the keys sent through the registry. */
export const createVerbsTransport: TransportFactory = (context) => {
  const options = verbsOptionsSchema.parse(context.options);
  try {
    const { chosen, verdicts, problem } = chooseDevices(surveyDevices(), {
      devices: options.device,
      port: options.port,
      gidIndex: options.gidIndex,
      near: options.near === undefined ? undefined : placeOfPciDevice(options.near),
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
