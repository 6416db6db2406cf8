import { Mapping } from "../../ffi/libc/index.ts";
import {
  Access,
  type CompletionQueue,
  connect,
  type Context,
  Device,
  Gid,
  type MemoryRegion,
  type QueuePair,
} from "../../ffi/verbs/index.ts";

export const DEPTH = 64;
export const BUFFER_BYTES = 1024 * 1024;
/**
 * 4.096 us × 2^18, about a second, for both: a machine that is kept waiting by others would send everything again after
 * perftest's default of 67 ms, and the retransmissions would be what is measured.
 */
export const TIMEOUT = 18;
const READS = 128;
/** What perftest asks for when it measures the latency of writes. */
const INLINE_BYTES = 220;
const PACKET_SEQUENCE = 1;

/** What the other process must know. */
export interface Address {
  readonly queuePair: number;
  readonly gid: string;
  readonly address: number;
  readonly rkey: number;
}

/** The RoCE v2 address of an IPv4 interface, which perftest is given too. */
export function routableGid(context: Context): { readonly index: number; readonly gid: Gid } {
  const entries = context.gids();
  const found = entries.find((entry) => entry.type === "ROCE_V2" && entry.gid.ipv4) ?? entries[0];
  if (!found) throw new Error(`${context.device.name} has no GID`);
  return found;
}

/** One process's end: a buffer of 1 MiB and an RC queue pair as deep as perftest's. */
export class Endpoint {
  readonly context: Context = Device.find().open();
  readonly memory: Mapping = Mapping.allocate(BUFFER_BYTES, { populate: true });
  readonly region: MemoryRegion;
  readonly completions: CompletionQueue;
  readonly queuePair: QueuePair;
  readonly #gid = routableGid(this.context);

  constructor() {
    const domain = this.context.allocateProtectionDomain();
    const access = Access.LOCAL_WRITE | Access.REMOTE_WRITE | Access.REMOTE_READ;
    this.region = domain.registerMemory(this.memory, { access });
    this.completions = this.context.createCompletionQueue({ entries: 4 * DEPTH });
    this.queuePair = domain.createQueuePair({
      type: "RC",
      sendCompletionQueue: this.completions,
      receiveCompletionQueue: this.completions,
      capabilities: { sendRequests: DEPTH, receiveRequests: 2 * DEPTH, inlineBytes: INLINE_BYTES },
    });
    this.queuePair.modify({ state: "INIT", partitionKeyIndex: 0, port: 1, access });
  }

  get own(): Address {
    const { queuePair, region } = this;
    return { queuePair: queuePair.number, gid: this.#gid.gid.toHex(), address: region.address, rkey: region.rkey };
  }

  connect(remote: Address): void {
    connect(this.queuePair, {
      remote: { queuePair: remote.queuePair, gid: Gid.fromHex(remote.gid), packetSequence: PACKET_SEQUENCE },
      packetSequence: PACKET_SEQUENCE,
      sourceGidIndex: this.#gid.index,
      pathMtu: this.context.port(1).query().activeMtu,
      maxReadAtomic: READS,
      timeout: TIMEOUT,
    });
  }
}
