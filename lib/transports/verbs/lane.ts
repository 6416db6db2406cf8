import { type CompletionBatch, CompletionOpcode, CompletionStatus, nameOf } from "../../../ffi/verbs/index.ts";
import type { CompletionQueue, QueuePair } from "../../../ffi/verbs/index.ts";
import type { RoomTag } from "../transport.ts";
import { Credits } from "./credits.ts";
import type { LaneEvents } from "./lane-events.ts";
import { LaneWindows } from "./lane-windows.ts";
import { MessageSlots } from "./message-slots.ts";
import { CARRIED_BYTES, type Message, MESSAGE_BYTES, MessageType, type Total } from "./messages.ts";
import type { VerbsOptions } from "./options.ts";
import { type Note, Outbox } from "./outbox.ts";
import type { Poster } from "./posted-lists.ts";
import { connectQueuePair, createQueuePair, randomPacketSequence, type RemoteQueuePair } from "./queue-pair.ts";
import type { Rail } from "./rail.ts";
import { RECEIVE_ID, SendQueue, type SmallWrite } from "./send-queue.ts";

/** Decode's messages may carry something, prefill's never do. */
const LONG_BYTES = MESSAGE_BYTES + CARRIED_BYTES;

/**
 * One RC queue pair with a completion queue of its own, so that nothing of other pairs can overrun it: writes and small
 * messages go out, messages and immediates come in. What is added goes out with `flush`.
 */
export class Lane {
  /** The same on both sides, never used again in a pair. */
  readonly id: number;
  /** Which of the pair's lanes it stands in for: rails take turns by it. */
  readonly place: number;
  readonly rail: Rail;
  readonly completions: CompletionQueue;
  readonly queuePair: QueuePair;
  readonly packetSequence = randomPacketSequence();
  readonly sends: SendQueue;
  events: LaneEvents;
  /** The last TOTAL that came: the immediate behind it belongs to it. */
  announced: Message | undefined;
  readonly #options: VerbsOptions;
  readonly #slots: MessageSlots;
  readonly #credits: Credits;
  readonly #outbox: Outbox;
  /** Undefined where the peer writes by the key of the memory as a whole. */
  readonly #windows: LaneWindows | undefined;
  #state: "open" | "draining" | "over" = "open";
  /** Receives that the device has. */
  #receiving = 0;
  #drained: (() => void) | undefined;
  /** Completions are being reported, which stand in a batch that there is only one of. */
  #polling = false;

  /** @throws {VerbsError} where the device has no more to give. */
  constructor(
    rail: Rail,
    options: VerbsOptions,
    gather: number,
    events: LaneEvents,
    name: { readonly id: number; readonly place: number },
  ) {
    const { receiveRequests, windowBytes } = options;
    this.id = name.id;
    this.place = name.place;
    this.rail = rail;
    this.events = events;
    this.#options = options;
    this.#credits = new Credits(receiveRequests);
    const depth = Math.min(options.sendRequests, rail.maxRequests);
    const [receiveBytes, sendBytes] = rail.writable ? [MESSAGE_BYTES, LONG_BYTES] : [LONG_BYTES, MESSAGE_BYTES];
    this.#slots = new MessageSlots(rail.domain, { count: receiveRequests, receiveBytes, sendBytes });
    let completions: CompletionQueue | undefined;
    try {
      completions = rail.context.createCompletionQueue({ entries: depth + receiveRequests, channel: rail.channel });
      this.completions = completions;
      this.queuePair = createQueuePair(rail, completions, {
        sendRequests: depth,
        receiveRequests,
        sendEntries: gather,
        receiveEntries: 1,
      });
    } catch (error) {
      // The completion queue closes the queue pair on it first.
      completions?.close();
      this.#slots.close();
      throw error;
    }
    this.sends = new SendQueue(this.queuePair, { depth, gather, windowBytes, mayInline: !rail.hasGpuMemory });
    this.#outbox = new Outbox(this.sends, this.#slots, this.#credits);
    this.#windows = rail.windowed && new LaneWindows(rail.windowed);
    for (let slot = 0; slot < receiveRequests; slot++) this.#slots.arm(slot, RECEIVE_ID + slot);
    this.#postReceives();
    this.completions.requestNotification();
    rail.add(this);
  }

  /** It takes nothing more. */
  get over(): boolean {
    return this.#state !== "open";
  }

  /** Whether a room can be ended: that takes a message and a write with immediate. */
  get mayNotify(): boolean {
    return !this.over && this.#outbox.isEmpty && this.sends.free >= 2 && this.#credits.granted >= 3;
  }

  /** The peer may send, and so may this side once the peer is as far. `receives`: messages that it takes ahead. */
  connect(remote: RemoteQueuePair, receives: number): void {
    connectQueuePair(this, remote, this.#options);
    this.#credits.grant(receives);
  }

  /** A room's last write, and ahead of it a message with the room's bytes. Only while {@link mayNotify}. */
  notify(poster: Poster, { tag, bytes, round, lanes }: Total, last: SmallWrite): void {
    this.#outbox.say({ type: MessageType.TOTAL, tag, value: bytes, round, lanes });
    this.#credits.spendSilently();
    this.sends.writeWithImmediate(poster, tag, last);
  }

  /** Sends a message behind everything added before, as soon as the peer has room for it. */
  say(note: Note, poster?: Poster): void {
    if (this.over) return;
    this.#outbox.push(note, poster);
    this.flush();
  }

  /** Gives the peer the room's keys, where rooms have keys of their own. */
  giveKeys(tag: RoomTag): void {
    if (this.over || !this.#windows) return;
    try {
      this.#outbox.pushKeys(this.#windows.open(tag));
    } catch (error) {
      return this.#failBy(error, "no memory window");
    }
    this.flush();
  }

  /** The room has ended: its keys may be given to another. */
  endKeys(tag: RoomTag): void {
    if (this.over || !this.#windows) return;
    this.#outbox.withdrawKeys(tag);
    this.#windows.close(tag);
  }

  /** Calls back once nothing can land under the room's keys, whatever the peer does; never without such keys. */
  takeKeys(tag: RoomTag, taken: () => void): void {
    if (this.over || !this.#windows) return;
    this.#outbox.withdrawKeys(tag);
    const keys = this.#windows.takeKeys(tag);
    let left = keys.length;
    if (left === 0) return taken();
    for (const key of keys) {
      const poster = { pending: 0, landed: () => (--left === 0 ? taken() : undefined) };
      this.#outbox.pushSilent(() => this.sends.invalidate(poster, key));
    }
    this.flush();
  }

  /** Posts what was added, and messages that waited. */
  flush(): void {
    if (this.over) return;
    this.#outbox.add();
    try {
      this.sends.post();
    } catch (error) {
      this.#failBy(error, "posting failed");
    }
  }

  /** The channel says that something has completed. */
  onEvent(): void {
    if (this.#state === "over") return;
    this.completions.acknowledge();
    this.poll();
    if (this.#isOver()) return;
    this.completions.requestNotification();
    // What came before the request announces nothing.
    this.poll();
  }

  /** Takes what has completed; true if there was anything. */
  poll(): boolean {
    if (this.#polling) return false;
    this.#polling = true;
    try {
      return this.#poll();
    } finally {
      this.#polling = false;
    }
  }

  #poll(): boolean {
    let any = false;
    while (!this.#isOver()) {
      const count = this.completions.poll();
      if (count === 0) return any;
      any = true;
      for (let index = 0; index < count && !this.#isOver(); index++) {
        this.#complete(this.completions.completions, index);
      }
      if (this.#isOver()) return any;
      if (this.#state === "draining") this.#endDraining();
      else {
        this.#credits.owe(this.#postReceives());
        this.flush();
      }
    }
    return any;
  }

  fail(status: string, message: string): void {
    if (!this.over) this.events.failed(this, status, message);
  }

  /** The port is down. */
  falter(status: string, message: string): void {
    if (!this.over) this.events.faltered(this, status, message);
  }

  /**
   * Lets nothing more in, reports what had come until then, closes and calls back: what the peer knows to have arrived
   * has been reported by then.
   */
  drain(drained: () => void): void {
    if (this.over) return;
    this.#state = "draining";
    this.#drained = drained;
    this.queuePair.modify({ state: "ERR" });
    this.#endDraining();
    this.poll();
  }

  /** Once it returns nothing of this lane touches memory, on either side's behalf. */
  close(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.rail.remove(this);
    // In the error state what is under way ends; once destroyed, the queue pair is nobody the device would serve.
    this.queuePair.modify({ state: "ERR" });
    this.queuePair.close();
    this.completions.close();
    this.#slots.close();
  }

  /** For the compiler, which takes the state for known after a call that changes it. */
  #isOver(): boolean {
    return this.#state === "over";
  }

  #endDraining(): void {
    if (this.#receiving > 0) return;
    const drained = this.#drained;
    this.close();
    drained?.();
  }

  #complete(batch: CompletionBatch, index: number): void {
    const id = batch.workRequestId(index);
    if (id >= RECEIVE_ID) this.#receiving--;
    const status = batch.status(index);
    if (status !== CompletionStatus.SUCCESS) {
      const name = `IBV_WC_${nameOf(CompletionStatus, status)}`;
      const vendor = batch.vendorError(index);
      return this.fail(name, `${name}, vendor error ${vendor}${this.rail.note}`);
    }
    if (id < RECEIVE_ID) {
      for (const poster of this.sends.complete()) poster.landed();
      return;
    }
    const slot = id - RECEIVE_ID;
    const immediate = batch.opcode(index) === CompletionOpcode.RECV_RDMA_WITH_IMM;
    const message = immediate ? undefined : this.#slots.read(slot);
    this.#slots.arm(slot, id);
    this.events.heard();
    if (!message) return this.events.notified(this, batch.immediate(index));
    this.#credits.grant(message.credits);
    if (message.type === MessageType.TOTAL) this.announced = message;
    else if (message.type !== MessageType.CREDIT) this.events.message(this, message);
  }

  /** Posts the receives that are armed; how many. */
  #postReceives(): number {
    const { receives } = this.#slots;
    const { count } = receives;
    if (count === 0) return 0;
    this.queuePair.postReceive(receives);
    this.#receiving += count;
    receives.clear();
    return count;
  }

  #failBy(error: unknown, what: string): void {
    // The errno by name, of an error that has one.
    const status = error instanceof Error && "code" in error ? String(error.code) : "";
    this.fail(status, `${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
