import {
  Access,
  type AsyncEvent,
  type CompletionChannel,
  type CompletionQueue,
  type Context,
  Device,
  DeviceCapability,
  type MemoryRegion,
  type ProtectionDomain,
  type QueuePair,
} from "../../../ffi/verbs/index.ts";
import type { Reactor, Watch } from "../transport.ts";
import type { Choice } from "./device-choice.ts";
import type { RailAddress } from "./endpoint.ts";
import type { Lane } from "./lane.ts";
import { registerGpuMemory } from "./gpu-region.ts";
import type { WindowedMemory } from "./lane-windows.ts";
import { KeyTable, type Range } from "./regions.ts";

/** Windows that one queue pair's peer can use, and no other. */
const WINDOWS = DeviceCapability.MEM_WINDOW_TYPE_2A | DeviceCapability.MEM_WINDOW_TYPE_2B;
/** A message for each says its key, and counts them in a byte. */
const MAX_WINDOWED_RANGES = 256;

export interface RailOptions {
  readonly choice: Choice;
  readonly ranges: readonly Range[];
  /** Whether peers write into the ranges; otherwise they are only read from here. */
  readonly writable: boolean;
  /** Whether each room is to have a key of its own, by a memory window, where the device has those. */
  readonly windows: boolean;
  readonly reactor: Reactor;
}

/**
 * One port of an open device: memory is registered with it once, all its lanes announce their completions on one
 * descriptor, and what happens to the device or the port is heard here.
 */
export class Rail {
  readonly choice: Choice;
  readonly context: Context;
  readonly domain: ProtectionDomain;
  readonly channel: CompletionChannel;
  /** Bytes and requests that the device can do. */
  readonly maxMessageBytes: number;
  readonly maxGather: number;
  readonly maxRequests: number;
  /** What to name the ranges by in own requests, and in peers'. */
  readonly localKeys: KeyTable;
  readonly remoteKeys: readonly number[] | undefined;
  /** The memory, where it may be written to by way of memory windows only. */
  readonly windowed: WindowedMemory | undefined;
  /** Whether peers write here: this is decode's, then. */
  readonly writable: boolean;
  /** Some of the ranges are on a GPU: the processor must not read what is to be written. */
  readonly hasGpuMemory: boolean;
  readonly #lanes = new Map<CompletionQueue, Lane>();
  readonly #byQueuePair = new Map<QueuePair, Lane>();
  readonly #watches: Watch[];
  /** What was last heard of the port or the device, for errors. */
  #trouble: string | undefined;
  #fatal = false;
  #down = false;

  /** @throws {VerbsError} with the verb, the errno and what can be done about it. */
  constructor({ choice, ranges, writable, windows, reactor }: RailOptions) {
    this.choice = choice;
    this.writable = writable;
    this.hasGpuMemory = ranges.some(({ gpu }) => gpu !== undefined);
    this.context = Device.find(choice.candidate.device).open();
    try {
      const { maxScatterGather, maxQueuePairRequests, capabilityFlags } = this.context.queryDevice();
      this.maxMessageBytes = choice.candidate.maxMessageBytes;
      this.maxGather = maxScatterGather;
      this.maxRequests = maxQueuePairRequests;
      this.domain = this.context.allocateProtectionDomain();
      this.channel = this.context.createCompletionChannel();
      const windowed = windows && writable && (capabilityFlags & WINDOWS) !== 0 && ranges.length <= MAX_WINDOWED_RANGES;
      const remote = windowed ? Access.MW_BIND : Access.REMOTE_WRITE;
      const access = writable ? Access.LOCAL_WRITE | remote : 0;
      const regions: MemoryRegion[] = ranges.map((range) =>
        range.gpu === undefined
          ? this.domain.registerMemory(range, { access })
          : registerGpuMemory(this.domain, range, range.gpu, access),
      );
      this.localKeys = new KeyTable(
        ranges,
        regions.map(({ lkey }) => lkey),
      );
      this.remoteKeys = windowed ? undefined : regions.map(({ rkey }) => rkey);
      this.windowed = windowed ? { domain: this.domain, ranges, regions } : undefined;
    } catch (error) {
      this.context.close();
      throw error;
    }
    this.#watches = [
      reactor.watch(this.channel.fd, { readable: true }, () => this.#onCompletions()),
      reactor.watch(this.context.asyncFd, { readable: true }, () => this.#onAsyncEvents()),
    ];
  }

  get address(): RailAddress {
    const { candidate, gid } = this.choice;
    return {
      linkLayer: candidate.linkLayer,
      lid: candidate.lid,
      mtu: candidate.mtu,
      ...(gid && { gid: gid.hex }),
    };
  }

  /** Queue pairs in use. */
  get laneCount(): number {
    return this.#lanes.size;
  }

  /** Why nothing can be opened on it any more. */
  get problem(): string | undefined {
    return this.#fatal ? this.#trouble : undefined;
  }

  /** The port is down: what is posted fails after the retries, unless it comes up. */
  get down(): boolean {
    return this.#down;
  }

  /** Appended to errors: a port that is down explains a retry that was exceeded. */
  get note(): string {
    return this.#trouble === undefined ? "" : `; ${this.#trouble}`;
  }

  add(lane: Lane): void {
    this.#lanes.set(lane.completions, lane);
    this.#byQueuePair.set(lane.queuePair, lane);
  }

  remove(lane: Lane): void {
    this.#lanes.delete(lane.completions);
    this.#byQueuePair.delete(lane.queuePair);
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
    for (const lane of this.#lanes.values()) lane.close();
    this.context.close();
  }

  #onCompletions(): void {
    for (let queue = this.channel.takeEvent(); queue; queue = this.channel.takeEvent()) {
      this.#lanes.get(queue)?.onEvent();
      if (this.channel.closed) return;
    }
  }

  #onAsyncEvents(): void {
    for (let event = this.context.takeAsyncEvent(); event; event = this.context.takeAsyncEvent()) {
      this.#onAsyncEvent(event);
      if (this.context.closed) return;
    }
  }

  #onAsyncEvent({ type, source, port }: AsyncEvent): void {
    const { device, port: own } = this.choice.candidate;
    const status = `IBV_EVENT_${type}`;
    switch (type) {
      case "PORT_ERR":
        if (port !== own) return;
        this.#down = true;
        this.#trouble = `port ${own} of ${device} is down`;
        for (const lane of this.#lanes.values()) lane.falter(status, this.#trouble);
        return;
      case "PORT_ACTIVE":
        if (port !== own) return;
        this.#down = false;
        this.#trouble = undefined;
        return;
      case "DEVICE_FATAL":
        this.#fatal = true;
        this.#trouble = `${device} reported a fatal error`;
        for (const lane of this.#lanes.values()) lane.fail(status, this.#trouble);
        return;
      case "QP_FATAL":
      case "QP_REQ_ERR":
      case "QP_ACCESS_ERR":
        this.#byQueuePair.get(source as QueuePair)?.fail(status, `the queue pair failed with ${status}`);
        return;
      case "CQ_ERR":
        this.#lanes.get(source as CompletionQueue)?.fail(status, "the completion queue overran");
    }
  }
}
