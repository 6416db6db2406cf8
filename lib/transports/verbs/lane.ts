import { randomBytes } from "node:crypto";
import {
  Access,
  type CompletionBatch,
  CompletionOpcode,
  type CompletionQueue,
  CompletionStatus,
  Gid,
  nameOf,
  type QueuePair,
  SendFlag,
  SendList,
} from "../../../ffi/verbs/index.ts";
import type { RoomTag } from "../transport.ts";
import type { RailAddress } from "./endpoint.ts";
import { MessageSlots } from "./message-slots.ts";
import { type Message, MESSAGE_BYTES, MessageType } from "./messages.ts";
import type { VerbsOptions } from "./options.ts";
import { PostedLists, type Poster } from "./posted-lists.ts";
import { createQueuePair } from "./queue-pair.ts";
import type { Rail } from "./rail.ts";

/** Requests in one native call; the last of them reports for all. */
const LIST_REQUESTS = 64;
/** Of the send queue, so that a lane full of data can still say something. */
const MESSAGE_REQUESTS = 8;
/** Send requests have ids below, receives from here on: after an error the id is all that is known. */
const RECEIVE_ID = 0x1_0000_0000;

export interface LaneEvents {
  /** Something came from the peer's process. */
  heard(): void;
  message(lane: Lane, message: Message): void;
  /** The peer's write with this immediate has landed, and all its writes before. */
  notified(lane: Lane, tag: RoomTag): void;
  /** The queue pair is of no use any more. `status` is the native status by name. */
  failed(lane: Lane, status: string, message: string): void;
}

export interface RemoteLane {
  readonly queuePair: number;
  readonly packetSequence: number;
  readonly address: RailAddress;
  /** Messages that it takes ahead. */
  readonly receives: number;
}

/** One write, which may be empty. */
export interface SmallWrite {
  readonly source: readonly { readonly address: number; readonly byteLength: number; readonly key: number }[];
  readonly remote: number;
  readonly key: number;
  readonly byteLength: number;
}

export const NOTHING: SmallWrite = { source: [], remote: 0, key: 0, byteLength: 0 };

interface Waiting {
  readonly type: MessageType;
  readonly tag: RoomTag;
  readonly poster: Poster | undefined;
}

/**
 * One RC queue pair with a completion queue of its own, so that nothing of other pairs can overrun it: writes and small
 * messages go out, messages and immediates come in. Each message or immediate takes one of the peer's receives; credits
 * make sure that there is one, so that a receiver is never "not ready". What is added goes out with `flush`.
 */
export class Lane {
  readonly rail: Rail;
  readonly completions: CompletionQueue;
  readonly queuePair: QueuePair;
  readonly packetSequence: number = randomBytes(3).readUIntBE(0, 3);
  events: LaneEvents;
  readonly #options: VerbsOptions;
  readonly #slots: MessageSlots;
  readonly #list: SendList;
  readonly #posted = new PostedLists();
  /** Counts lists, for the requests' ids. */
  #number = 0;
  readonly #depth: number;
  /** Messages that the peer has room for. */
  #credits = 0;
  /** Receives posted again that the peer does not know of. */
  #unreturned = 0;
  readonly #waiting: Waiting[] = [];
  #over = false;

  /** @throws {VerbsError} where the device has no more to give. */
  constructor(rail: Rail, options: VerbsOptions, gather: number, events: LaneEvents) {
    const { receiveRequests } = options;
    this.rail = rail;
    this.events = events;
    this.#options = options;
    this.#depth = Math.min(options.sendRequests, rail.maxRequests);
    this.#list = new SendList({ requests: LIST_REQUESTS, entries: LIST_REQUESTS * gather });
    this.#slots = new MessageSlots(rail.domain, receiveRequests);
    let completions: CompletionQueue | undefined;
    try {
      const entries = this.#depth + receiveRequests;
      completions = rail.context.createCompletionQueue({ entries, channel: rail.channel });
      this.completions = completions;
      this.queuePair = createQueuePair(rail, completions, {
        sendRequests: this.#depth,
        receiveRequests,
        sendEntries: gather,
        receiveEntries: 1,
      });
      this.queuePair.modify({
        state: "INIT",
        partitionKeyIndex: 0,
        port: rail.choice.candidate.port,
        access: Access.LOCAL_WRITE | Access.REMOTE_WRITE,
      });
    } catch (error) {
      // The completion queue closes the queue pair on it first.
      completions?.close();
      this.#slots.close();
      throw error;
    }
    for (let slot = 0; slot < receiveRequests; slot++) this.#slots.arm(slot, RECEIVE_ID + slot);
    this.#postReceives();
    this.#unreturned = 0;
    this.completions.requestNotification();
    rail.add(this);
  }

  get over(): boolean {
    return this.#over;
  }

  /** Requests that can be added now. */
  get free(): number {
    const { count, capacity } = this.#list;
    return Math.min(capacity - count, this.#depth - MESSAGE_REQUESTS - this.#posted.requests - count);
  }

  /** Bytes that can be added now. */
  get freeBytes(): number {
    return this.#options.windowBytes - this.#posted.bytes;
  }

  /** Whether a room can be ended: that takes a message and a write with immediate. */
  get mayNotify(): boolean {
    return !this.#over && this.#waiting.length === 0 && this.free >= 2 && this.#credits >= 3;
  }

  /** Requests that the device has. */
  get pending(): number {
    return this.#posted.requests;
  }

  /** To RTR and RTS: the peer may send, and so may this side once the peer is as far. */
  connect(remote: RemoteLane): void {
    const { mtu, port } = this.rail.choice.candidate;
    const { trafficClass, serviceLevel, hopLimit, timeout, retryCount, rnrRetry } = this.#options;
    const { gid } = this.rail.choice;
    const route = gid &&
      remote.address.gid && { gid: Gid.fromHex(remote.address.gid), sourceGidIndex: gid.index, hopLimit, trafficClass };
    this.queuePair.modify({
      state: "RTR",
      address: { port, lid: remote.address.lid, serviceLevel, ...route },
      pathMtu: Math.min(mtu, remote.address.mtu, this.#options.mtu ?? 4_096),
      remoteQueuePair: remote.queuePair,
      receivePacketSequence: remote.packetSequence,
      maxDestinationReadAtomic: 1,
      minReceiverNotReadyTimer: 12,
    });
    this.queuePair.modify({
      state: "RTS",
      sendPacketSequence: this.packetSequence,
      timeout,
      retryCount,
      receiverNotReadyRetry: rnrRetry,
      maxReadAtomic: 1,
    });
    this.#credits = remote.receives;
  }

  /** Adds local memory to the write that is added next. */
  entry(address: number, byteLength: number, key: number): void {
    this.#list.entry(address, byteLength, key);
  }

  /** One of the writes that are {@link free}. */
  write(poster: Poster, remote: number, key: number, byteLength: number): void {
    this.#list.write(this.#number, remote, key, 0);
    this.#posted.add(poster, byteLength);
  }

  /** As {@link write}, with its source and inline where it is small. */
  writeFrom(poster: Poster, { source, remote, key, byteLength }: SmallWrite): void {
    for (const entry of source) this.#list.entry(entry.address, entry.byteLength, entry.key);
    this.#list.write(this.#number, remote, key, this.#inlineWrite(byteLength));
    this.#posted.add(poster, byteLength);
  }

  /** A room's last write, and ahead of it a message with the room's bytes. Only while {@link mayNotify}. */
  notify(poster: Poster, tag: RoomTag, totalBytes: number, last: SmallWrite): void {
    this.#addMessage(MessageType.TOTAL, tag, totalBytes);
    for (const { address, byteLength, key } of last.source) this.#list.entry(address, byteLength, key);
    this.#credits--;
    this.#list.writeWithImmediate(this.#number, last.remote, last.key, tag, this.#inlineWrite(last.byteLength));
    this.#posted.add(poster, last.byteLength);
  }

  /** Sends a message behind everything added before, as soon as the peer has room for it. */
  say(type: MessageType, tag: RoomTag = 0, poster?: Poster): void {
    if (this.#over) return;
    this.#waiting.push({ type, tag, poster });
    this.flush();
  }

  /** Posts what was added, and messages that waited. */
  flush(): void {
    if (this.#over) return;
    this.#addWaiting();
    const { count } = this.#list;
    if (count === 0) return;
    this.#list.signalLast();
    try {
      this.queuePair.postSend(this.#list);
    } catch (error) {
      return this.fail(statusOf(error), `posting failed: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#posted.post(count);
    this.#number = (this.#number + 1) % RECEIVE_ID;
    this.#list.clear();
  }

  /** The channel says that something has completed. */
  onEvent(): void {
    if (this.#over) return;
    this.completions.acknowledge();
    this.poll();
    if (this.#over) return;
    this.completions.requestNotification();
    // What came before the request announces nothing.
    this.poll();
  }

  /** Takes what has completed; true if there was anything. */
  poll(): boolean {
    let any = false;
    while (!this.#over) {
      const count = this.completions.poll();
      if (count === 0) return any;
      any = true;
      for (let index = 0; index < count && !this.#over; index++) this.#complete(this.completions.completions, index);
      if (this.#over) return any;
      this.#postReceives();
      this.flush();
    }
    return any;
  }

  fail(status: string, message: string): void {
    if (!this.#over) this.events.failed(this, status, message);
  }

  /** Once it returns nothing of this lane touches memory, on either side's behalf. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.rail.remove(this);
    // In the error state what is under way ends; once destroyed, the queue pair is nobody the device would serve.
    this.queuePair.modify({ state: "ERR" });
    this.queuePair.close();
    this.completions.close();
    this.#slots.close();
  }

  #complete(batch: CompletionBatch, index: number): void {
    const status = batch.status(index);
    if (status !== CompletionStatus.SUCCESS) {
      const name = `IBV_WC_${nameOf(CompletionStatus, status)}`;
      const vendor = batch.vendorError(index);
      return this.fail(name, `${name}, vendor error ${vendor}${this.rail.note}`);
    }
    const id = batch.workRequestId(index);
    if (id < RECEIVE_ID) {
      for (const poster of this.#posted.complete()) poster.landed();
      return;
    }
    const slot = id - RECEIVE_ID;
    const immediate = batch.opcode(index) === CompletionOpcode.RECV_RDMA_WITH_IMM;
    const message = immediate ? undefined : this.#slots.read(slot);
    this.#slots.arm(slot, id);
    this.events.heard();
    if (!message) return this.events.notified(this, batch.immediate(index));
    this.#credits += message.credits;
    if (message.type !== MessageType.CREDIT) this.events.message(this, message);
  }

  /** Posts the receives that are armed; the peer may use them once it is told. */
  #postReceives(): void {
    const { receives } = this.#slots;
    if (receives.count === 0) return;
    this.queuePair.postReceive(receives);
    this.#unreturned += receives.count;
    receives.clear();
  }

  #addWaiting(): void {
    while (this.#waiting.length > 0 && this.#maySay(1)) {
      const { type, tag, poster } = this.#waiting.shift()!;
      this.#addMessage(type, tag, 0);
      if (poster) this.#posted.add(poster, 0);
    }
    // The last credit is kept for giving credits back: each side can then always let the other go on.
    const many = this.#unreturned >= this.#options.receiveRequests / 2;
    if (many && this.#maySay(0)) this.#addMessage(MessageType.CREDIT, 0, 0);
  }

  #maySay(reserve: number): boolean {
    const { count, capacity } = this.#list;
    return this.#credits > reserve && count < capacity && this.#posted.requests + count < this.#depth;
  }

  #addMessage(type: MessageType, tag: RoomTag, value: number): void {
    this.#slots.put(this.#list, { type, credits: this.#unreturned, tag, value });
    this.#unreturned = 0;
    this.#credits--;
    this.#list.send(this.#number, this.#inline(MESSAGE_BYTES));
  }

  /** Inline, the processor copies the source into the request. */
  #inlineWrite(byteLength: number): number {
    return this.rail.hasGpuMemory ? 0 : this.#inline(byteLength);
  }

  #inline(byteLength: number): number {
    return byteLength > 0 && byteLength <= this.queuePair.capabilities.inlineBytes ? SendFlag.INLINE : 0;
  }
}

/** The errno by name, of an error that has one. */
function statusOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
