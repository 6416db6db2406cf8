/** Two sides of a connection on one device, in one process: what most device tests are about. */
import { Mapping } from "../../../../ffi/libc/index.ts";
import {
  Access,
  type Completion,
  type CompletionChannel,
  type CompletionQueue,
  connect,
  type Context,
  Device,
  type GidEntry,
  type MemoryRegion,
  openDatagrams,
  type ProtectionDomain,
  type QueuePair,
  type QueuePairCapabilities,
  type QueuePairTypeName,
  ReceiveList,
  SendList,
  type SharedReceiveQueue,
} from "../../../../ffi/verbs/index.ts";

export const DEADLINE_MS = 20_000;
export const QUEUE_KEY = 0x1111_1111;
const FIRST_PACKET = 0x12_3456;
const ALL_REMOTE = Access.LOCAL_WRITE | Access.REMOTE_WRITE | Access.REMOTE_READ | Access.REMOTE_ATOMIC;

/** The RoCE v2 address of an IPv4 interface: what two sides on one network reach each other by. */
export function routableGid(context: Context): GidEntry {
  const entries = context.gids();
  const found = entries.find((entry) => entry.type === "ROCE_V2" && entry.gid.ipv4) ?? entries[0];
  if (!found) throw new Error(`${context.device.name} has no GID`);
  return found;
}

export interface SideOptions {
  readonly type?: QueuePairTypeName;
  readonly byteLength?: number;
  /** Of the memory region and of the queue pair; everything by default. */
  readonly access?: number;
  readonly queuePairAccess?: number;
  readonly capabilities?: Partial<QueuePairCapabilities>;
  readonly entries?: number;
  readonly events?: boolean;
  readonly sharedReceives?: boolean;
  readonly signalAll?: boolean;
}

/** One end: a domain, registered memory, a completion queue and a queue pair. Closing the context closes all of it. */
export class Side {
  readonly context: Context;
  readonly gid: GidEntry;
  readonly domain: ProtectionDomain;
  readonly memory: Mapping;
  readonly region: MemoryRegion;
  readonly channel: CompletionChannel | undefined;
  readonly completions: CompletionQueue;
  readonly shared: SharedReceiveQueue | undefined;
  readonly queuePair: QueuePair;

  constructor(context: Context, options: SideOptions = {}) {
    const { type = "RC", byteLength = 8192, access = ALL_REMOTE, entries = 64 } = options;
    this.context = context;
    this.gid = routableGid(context);
    this.domain = context.allocateProtectionDomain();
    this.memory = Mapping.allocate(byteLength);
    this.region = this.domain.registerMemory(this.memory, { access });
    this.channel = options.events ? context.createCompletionChannel() : undefined;
    this.completions = context.createCompletionQueue({ entries, ...(this.channel && { channel: this.channel }) });
    this.shared = options.sharedReceives ? this.domain.createSharedReceiveQueue({ requests: 16 }) : undefined;
    this.queuePair = this.domain.createQueuePair({
      type,
      sendCompletionQueue: this.completions,
      receiveCompletionQueue: this.completions,
      capabilities: { sendEntries: 4, receiveEntries: 4, ...options.capabilities },
      ...(this.shared && { sharedReceiveQueue: this.shared }),
      ...(options.signalAll !== undefined && { signalAll: options.signalAll }),
    });
    if (type === "UD") openDatagrams(this.queuePair, { queueKey: QUEUE_KEY });
    else {
      const queuePairAccess = options.queuePairAccess ?? ALL_REMOTE;
      this.queuePair.modify({ state: "INIT", partitionKeyIndex: 0, port: 1, access: queuePairAccess });
    }
  }

  connect(remote: Side, retryCount = 7): void {
    connect(this.queuePair, {
      remote: { queuePair: remote.queuePair.number, packetSequence: FIRST_PACKET, gid: remote.gid.gid },
      packetSequence: FIRST_PACKET,
      sourceGidIndex: this.gid.index,
      maxReadAtomic: 4,
      timeout: 12,
      retryCount,
    });
  }

  /** A one-entry list over the start of this side's memory. */
  sendList(byteLength = this.memory.byteLength, offset = 0): SendList {
    return new SendList({ requests: 16, entries: 64 }).entry(
      this.memory.address + offset,
      byteLength,
      this.region.lkey,
    );
  }

  postReceive(id: number, byteLength = this.memory.byteLength): void {
    const list = new ReceiveList({ requests: 1 }).entry(this.memory.address, byteLength, this.region.lkey).receive(id);
    if (this.shared) this.shared.post(list);
    else this.queuePair.postReceive(list);
  }

  fill(value: number): void {
    this.memory.bytes.fill(value);
  }

  /** Polls until so many completions have come. */
  take(count = 1): Completion[] {
    const taken: Completion[] = [];
    const deadline = performance.now() + DEADLINE_MS;
    while (taken.length < count) {
      const polled = this.completions.poll();
      for (let index = 0; index < polled; index++) taken.push(this.completions.completions.at(index));
      if (performance.now() > deadline) throw new Error(`${taken.length} of ${count} completions in ${DEADLINE_MS} ms`);
    }
    return taken;
  }

  takeOne(): Completion {
    return this.take(1)[0]!;
  }
}

export interface Pair extends Disposable {
  readonly context: Context;
  readonly left: Side;
  readonly right: Side;
}

/** Two connected sides. `left` and `right` may differ in what they allow. */
export function connectedPair(left: SideOptions = {}, right: SideOptions = left): Pair {
  const context = Device.find().open();
  const pair = { context, left: new Side(context, left), right: new Side(context, right) };
  if ((left.type ?? "RC") !== "UD") {
    pair.left.connect(pair.right);
    pair.right.connect(pair.left);
  }
  return { ...pair, [Symbol.dispose]: () => context.close() };
}

/** The error that `run` throws, for tests that look at more than its message. */
export function thrownBy(
  run: () => unknown,
): Error & { code?: string; errno?: number; verb?: string; posted?: number } {
  try {
    run();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("nothing was thrown");
}
