import {
  CompletionOpcode,
  CompletionStatus,
  type MemoryRegion,
  type MemoryWindow,
  SendFlag,
  type ReceiveList,
  type SendList,
  WorkRequestOpcode,
} from "../../../../../ffi/verbs/index.ts";
import { unsafeViewAt } from "../../../../../ffi/runtime/index.ts";
import type { Lane } from "../../../../../lib/transports/verbs/lane.ts";
import type { WindowedMemory } from "../../../../../lib/transports/verbs/lane-windows.ts";
import type { Rail } from "../../../../../lib/transports/verbs/rail.ts";
import { KeyTable, type Range } from "../../../../../lib/transports/verbs/regions.ts";
import type { Random } from "../../support/plans.ts";
import { readRequests, type Request } from "./requests.ts";

interface FakeCompletion {
  readonly id: number;
  readonly status: number;
  readonly opcode: number;
  readonly immediate: number;
}

const BATCH = 4;

class FakeCompletionQueue {
  readonly waiting: FakeCompletion[] = [];
  #batch: FakeCompletion[] = [];
  readonly completions = {
    status: (index: number): number => this.#batch[index]!.status,
    opcode: (index: number): number => this.#batch[index]!.opcode,
    immediate: (index: number): number => this.#batch[index]!.immediate,
    workRequestId: (index: number): number => this.#batch[index]!.id,
    vendorError: (): number => 0,
  };

  poll(): number {
    this.#batch = this.waiting.splice(0, BATCH);
    return this.#batch.length;
  }

  requestNotification(): void {}
  acknowledge(): void {}
  close(): void {}
}

class FakeQueuePair {
  readonly capabilities = { inlineBytes: 64 };
  readonly number: number;
  readonly rail: FakeRail;
  readonly completions: FakeCompletionQueue;
  state = "RESET";
  remote = 0;
  /** Posted and not arrived; arrived and not acknowledged. */
  readonly sent: Request[] = [];
  readonly arrived: Request[] = [];
  readonly receives: Request[] = [];
  /** What its peer may write to, by key, where that is by memory windows. */
  readonly windows = new Map<number, Request["window"]>();
  closed = false;

  constructor(rail: FakeRail, number: number, completions: FakeCompletionQueue) {
    this.rail = rail;
    this.number = number;
    this.completions = completions;
  }

  modify({ state, remoteQueuePair }: { state: string; remoteQueuePair?: number }): void {
    this.state = state;
    if (remoteQueuePair !== undefined) this.remote = remoteQueuePair;
  }

  postSend(list: SendList): void {
    this.sent.push(...readRequests(list));
  }

  postReceive(list: ReceiveList): void {
    this.receives.push(...readRequests(list));
  }

  close(): void {
    this.closed = true;
    this.rail.fabric.queuePairs.delete(this.number);
  }

  get connected(): boolean {
    return !this.closed && (this.state === "RTR" || this.state === "RTS");
  }

  /** In the error state everything that is posted is reported as flushed. */
  flush(): void {
    const { WR_FLUSH_ERR } = CompletionStatus;
    for (const { id } of [...this.arrived.splice(0), ...this.sent.splice(0), ...this.receives.splice(0)]) {
      this.completions.waiting.push({ id, status: WR_FLUSH_ERR, opcode: 0, immediate: 0 });
    }
  }

  fail(status: number = CompletionStatus.RETRY_EXC_ERR): void {
    const first = this.arrived.shift() ?? this.sent.shift();
    this.state = "ERR";
    if (first) this.completions.waiting.push({ id: first.id, status, opcode: 0, immediate: 0 });
  }
}

class FakeWindow {
  readonly unsafeAddress = 16;
  readonly rkey: number;

  constructor(rkey: number) {
    this.rkey = rkey;
  }
}

/** One side's port on one of the fabric's networks. */
export class FakeRail {
  readonly fabric: Fabric;
  readonly network: number;
  readonly lanes = new Set<Lane>();
  readonly choice = { candidate: { port: 1, mtu: 4096, device: "fake0" }, gid: undefined };
  readonly channel = {};
  readonly maxRequests = 64;
  readonly maxGather = 4;
  readonly hasGpuMemory = false;
  readonly note = "";
  readonly address = { linkLayer: "INFINIBAND", lid: 1, mtu: 4096 };
  readonly localKeys: KeyTable;
  readonly remoteKeys: readonly number[] | undefined;
  readonly windowed: WindowedMemory | undefined;
  readonly context = { createCompletionQueue: () => new FakeCompletionQueue() };
  readonly domain = {
    registerMemory: () => ({ lkey: this.#key, close: () => undefined }),
    allocateMemoryWindow: () => new FakeWindow(this.#windows++ << 8) as unknown as MemoryWindow,
    createQueuePair: ({ sendCompletionQueue }: { sendCompletionQueue: FakeCompletionQueue }) =>
      this.fabric.createQueuePair(this, sendCompletionQueue),
  };
  readonly #key: number;
  #windows = 1_000;

  constructor(fabric: Fabric, network: number, key: number, ranges: readonly Range[], windows: boolean) {
    this.fabric = fabric;
    this.network = network;
    this.#key = key;
    const keys = ranges.map(() => key);
    this.localKeys = new KeyTable(ranges, keys);
    this.remoteKeys = windows ? undefined : keys;
    const region = { unsafeAddress: 8, kind: "memory region" } as unknown as MemoryRegion;
    this.windowed = windows ? { domain: this.domain, ranges, regions: ranges.map(() => region) } : undefined;
  }

  get key(): number {
    return this.#key;
  }

  /** As lanes take it. */
  get rail(): Rail {
    return this as unknown as Rail;
  }

  add(lane: Lane): void {
    this.lanes.add(lane);
  }

  remove(lane: Lane): void {
    this.lanes.delete(lane);
  }
}

/**
 * Queue pairs without a device: one request arrives, or is acknowledged, or fails at a time, in an order that a seed
 * decides. Networks can be cut, and then what is under way on them is lost and times out; data, message and
 * acknowledgement are lost apart from each other, as on a wire.
 */
export class Fabric {
  readonly queuePairs = new Map<number, FakeQueuePair>();
  readonly cut = new Set<number>();
  readonly #random: Random;
  readonly #mayWrite: (address: number, byteLength: number) => void;
  #next = 100;

  /** `mayWrite` is told of every write before it is done, and throws at one that must not be. */
  constructor(random: Random, mayWrite: (address: number, byteLength: number) => void) {
    this.#random = random;
    this.#mayWrite = mayWrite;
  }

  createQueuePair(rail: FakeRail, completions: FakeCompletionQueue): FakeQueuePair {
    const made = new FakeQueuePair(rail, this.#next++, completions);
    this.queuePairs.set(made.number, made);
    return made;
  }

  /** One thing happens somewhere. */
  step(): void {
    const all = [...this.queuePairs.values()];
    const queuePair = all[this.#random.below(all.length)];
    if (!queuePair) return;
    if (queuePair.state === "ERR") return queuePair.flush();
    const peer = this.queuePairs.get(queuePair.remote);
    const reachable = peer?.connected && !this.cut.has(queuePair.rail.network);
    if (queuePair.sent.length + queuePair.arrived.length === 0) return;
    if (!reachable) {
      if (this.#random.below(20) === 0) queuePair.fail();
    } else if (queuePair.arrived.length > 0 && this.#random.below(2) === 0) this.#acknowledge(queuePair);
    else if (queuePair.sent.length > 0) this.#arrive(queuePair, peer);
  }

  #acknowledge(queuePair: FakeQueuePair): void {
    const { id, flags } = queuePair.arrived.shift()!;
    if ((flags & SendFlag.SIGNALED) === 0) return;
    queuePair.completions.waiting.push({ id, status: CompletionStatus.SUCCESS, opcode: 0, immediate: 0 });
  }

  #arrive(queuePair: FakeQueuePair, peer: FakeQueuePair): void {
    const request = queuePair.sent.shift()!;
    queuePair.arrived.push(request);
    if (request.opcode === WorkRequestOpcode.BIND_MW) {
      queuePair.windows.set(request.window.key, request.window);
      return;
    }
    if (request.opcode === WorkRequestOpcode.LOCAL_INV) {
      if (!queuePair.windows.delete(request.dead)) throw new Error(`no window answers to key ${request.dead}`);
      return;
    }
    const bytes = request.pieces.flatMap(({ address, byteLength, key }) => {
      if (key !== queuePair.rail.key) throw new Error(`local key ${key} on a rail with ${queuePair.rail.key}`);
      return byteLength === 0 ? [] : [...new Uint8Array(unsafeViewAt(address, byteLength))];
    });
    if (request.opcode === WorkRequestOpcode.SEND) return this.#receive(peer, request, bytes);
    if (bytes.length > 0) {
      if (!this.#opens(peer, request, bytes.length)) {
        // What stood before it has arrived: the acknowledgements are behind the refusal's.
        queuePair.arrived.splice(0, Infinity, request);
        queuePair.fail(CompletionStatus.REM_ACCESS_ERR);
        peer.state = "ERR";
        return;
      }
      this.#mayWrite(request.remote, bytes.length);
      new Uint8Array(unsafeViewAt(request.remote, bytes.length)).set(bytes);
    }
    if (request.opcode === WorkRequestOpcode.RDMA_WRITE_WITH_IMM) this.#receive(peer, request);
  }

  /** Whether the peer's memory answers to the request's key. */
  #opens(peer: FakeQueuePair, { key, remote }: Request, byteLength: number): boolean {
    if (peer.rail.windowed) {
      const window = peer.windows.get(key);
      return (
        window !== undefined && remote >= window.address && remote + byteLength <= window.address + window.byteLength
      );
    }
    if (key !== peer.rail.key) throw new Error(`remote key ${key} on a rail with ${peer.rail.key}`);
    return true;
  }

  #receive(peer: FakeQueuePair, { immediate }: Request, bytes?: readonly number[]): void {
    const receive = peer.receives.shift();
    if (!receive) throw new Error("a message for which no receive was posted");
    if (bytes) new Uint8Array(unsafeViewAt(receive.pieces[0]!.address, bytes.length)).set(bytes);
    const opcode = bytes ? CompletionOpcode.RECV : CompletionOpcode.RECV_RDMA_WITH_IMM;
    peer.completions.waiting.push({ id: receive.id, status: CompletionStatus.SUCCESS, opcode, immediate });
  }
}
