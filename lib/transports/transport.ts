/**
 * What a transport is. Rooms, chunks, planning, deadlines and failure handling are above this interface and written
 * once; a transport only carries write batches from a prefill rank (outbound) to a decode rank (inbound), tells the
 * receiver when a room's last byte is in place, and can promise that no further write will land (the fence).
 *
 * Everything here runs in the progress thread, one call at a time. Nothing may block; nothing may wait for the event
 * loop, which never turns there.
 * @module
 */
import type { KVTransferError } from "../errors.ts";
import type { KVLayout, WritePlan } from "../planner/index.ts";

/** What crosses in `connect` and `accept`: JSON, parsed with the transport's own schema on the other side. */
export type TransportData = { readonly [key: string]: unknown };

/**
 * Names a room on the receiving manager in 32 bits: its slot in the low 16, the slot's generation in the high 16, so
 * that a message or a write that comes late, for a slot given away since, is recognised.
 */
export type RoomTag = number;

/** One buffer that peers may read or write: the layout's page buffers in their order, then its aux buffers. */
export interface RegisteredBuffer {
  readonly address: number;
  readonly byteLength: number;
  /** Where the buffer stands in a memfd, if the library's allocator made it: what lets a peer map it. */
  readonly share?: { readonly fd: number; readonly offset: number };
  /** Ordinal of the GPU that the buffer is on; undefined for host memory. */
  readonly gpu?: number;
}

export interface Readiness {
  readonly readable: boolean;
  readonly writable: boolean;
  /** POLLERR or POLLHUP. */
  readonly failed: boolean;
}

export interface Watch {
  update(interest: { readable?: boolean; writable?: boolean }): void;
  close(): void;
}

/** The progress thread's poll set. */
export interface Reactor {
  /** Calls `onReady` (level-triggered) whenever `fd` is ready, until the watch is closed. Work ≤ 1 ms per call. */
  watch(fd: number, interest: { readable?: boolean; writable?: boolean }, onReady: (ready: Readiness) => void): Watch;
}

export interface TransportContext {
  readonly role: "prefill" | "decode";
  /** Fits in a log line and in an error: `decode 1f3a tp0 pp0`. */
  readonly self: string;
  readonly layout: KVLayout;
  readonly buffers: readonly RegisteredBuffer[];
  readonly reactor: Reactor;
  /** Milliseconds, monotonic; virtual in tests. */
  readonly now: () => number;
  /** The address at which peers are told to reach this host, if the user said one. */
  readonly advertiseHost: string | undefined;
  readonly connectTimeoutMs: number;
  /** What the user gave under the transport's name, not yet validated. */
  readonly options: TransportData;
  /**
   * Decode only: whether `byteLength` bytes at `address` lie in pages or in the aux slot that the live room `tag` owns.
   * Transports whose receiver places the bytes itself ask before every run.
   */
  mayWrite(tag: RoomTag, address: number, byteLength: number): boolean;
  /** Where such transports receive instead, one landing a pair, if the processor cannot write to the pages. */
  readonly landing?: () => Landing;
}

/** Memory in which bytes arrive before they are laid down where they belong. */
export interface Landing {
  /** The address of at least `byteLength` bytes, free until the next call. */
  take(byteLength: number): number;
  /** Lays down what arrived there, run behind run; in place when this returns. */
  place(count: number, addressOf: (run: number) => number, lengthOf: (run: number) => number): void;
  close(): void;
}

/** Work for one room: the pages of one chunk and, with the last chunk, the aux slot and the notification behind it. */
export interface WriteBatch {
  readonly tag: RoomTag;
  readonly plan: WritePlan;
  /** Present on the last chunk: written after every page of the room, then the receiver is told. */
  readonly last?: {
    readonly aux: WritePlan;
    /** Bytes of the whole room from this rank, pages and aux, for the receiver's metric. */
    readonly totalBytes: number;
  };
}

export interface OutboundEvents {
  /** The pair's data channel is up at this end; `endpoint` can be sent. */
  connected(): void;
  /** Every byte of the batch is in the receiver's memory (and, with `last`, the receiver has been told). */
  written(batch: WriteBatch): void;
  /** The batch was cancelled or failed, and this end writes nothing of it any more. */
  failed(batch: WriteBatch, error: KVTransferError): void;
  /** What the receiver's {@link InboundEnd.carry} sent. */
  message?(frames: readonly Uint8Array<ArrayBuffer>[]): void;
  /** The pair is gone; every batch has been reported failed before. Called at most once, also when dialling fails. */
  lost(error: KVTransferError): void;
}

/** The prefill's end of a pair of ranks. */
export interface OutboundEnd {
  /** For `accept`; valid from `connected` on. */
  readonly endpoint: TransportData;
  /** For plans: where each of the peer's buffers stands, seen from here. Undefined: at the peer's own addresses. */
  readonly destinationBases: Float64Array | undefined;
  /** Which of its ways the transport took, and why; for logs. */
  readonly how?: string;
  /** Source segments that one write may gather; 1 where a write has one source. */
  readonly gatherLimit: number;
  /** Plans' groups are taken as they are: a batch costs by the runs of one buffer, not by those of all. */
  readonly repeatsGroups?: boolean;
  /** The receiver has said `ready`: writes may be posted from now on. */
  confirm(): void;
  /** Queues a batch. Batches of one room keep their order; rooms take turns. */
  write(batch: WriteBatch): void;
  /** Drops what is queued of the room; each batch is reported `failed` once nothing of it can be written any more. */
  cancel(tag: RoomTag, error: KVTransferError): void;
  /** Moves data until `now() >= until` or it would block. True: call again soon; false: wait for readiness. */
  step(until: number): boolean;
  /** Lets the receiver know that this process runs; called a few times a lease while rooms are open. */
  keepAlive(): void;
  /** Stops writing, then lets go. No event is reported after this returns. */
  close(): void;
}

export interface InboundEvents {
  /** The pair is up at this end: writes may land. */
  connected(): void;
  /** Anything came from the sender's process: it runs. */
  heard(): void;
  /** The room's pages and aux slot from this rank are all in place. */
  arrived(tag: RoomTag, totalBytes: number): void;
  /** After {@link InboundEnd.revoke} said false: nothing more can land for the room by this pair. */
  fenced(tag: RoomTag): void;
  /** The pair is gone and nothing more can land by it: every room is fenced. Called at most once. */
  lost(error: KVTransferError): void;
}

/** The decode's end of a pair of ranks. */
export interface InboundEnd {
  /** For `connect`. */
  readonly offer: TransportData;
  /** From the prefill's `accept`; throws a typed error if it cannot be used. */
  accept(endpoint: unknown): void;
  /**
   * Carries a message to the sender by the pair's own way, where it has one: rooms then need no registry, and begin two
   * hops earlier. Messages keep their order. False: not this one (too large); undefined: no such way.
   */
  carry?(frames: readonly Uint8Array<ArrayBuffer>[]): boolean;
  /** The room may be written to from now on. */
  expect(tag: RoomTag): void;
  /** The room ended well: a write for it that came now would be an error. */
  forget(tag: RoomTag): void;
  /**
   * Takes back the right to write. True: nothing can land from now on. False: `fenced` or `lost` will be reported when
   * that is so, which may take as long as the peer is unreachable.
   */
  revoke(tag: RoomTag): boolean;
  /** Lets go. Rooms that were not fenced stay unfenced: see {@link unfenced}. */
  close(): void;
  /** Rooms whose writes may still land. */
  readonly unfenced: number;
}

export interface Transport {
  readonly name: string;
  /** Queue pairs in use, where a transport has any. */
  readonly queuePairs?: number;
  /** No more pairs can be made before others are closed. */
  readonly isFull?: boolean;
  /**
   * Makes the decode's end for one prefill rank. `host` is the address from which this host reaches the peer's registry:
   * where to be reached unless the user said otherwise.
   */
  openInbound(peer: string, events: InboundEvents, host?: string): InboundEnd;
  /** Dials the offer that a decode rank sent. Throws a typed error where the offer cannot be used from here. */
  openOutbound(peer: string, offer: unknown, events: OutboundEvents): OutboundEnd;
  close(): void;
}

/** Why a transport cannot be used on this machine or with these buffers. */
export interface Unusable {
  readonly unusable: string;
}

export type TransportFactory = (context: TransportContext) => Transport | Unusable;
