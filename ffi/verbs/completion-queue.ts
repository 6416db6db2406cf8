import type { Address } from "../runtime/index.ts";
import { type InlineVerbs, StructBuffer, structs, unsafeExtendedVerb, unsafeReadField, verbs } from "./abi/index.ts";
import { CompletionBatch } from "./completion.ts";
import { CompletionChannel } from "./completion-channel.ts";
import type { Context } from "./context.ts";
import { checked, created, unsupported, VerbsUserError } from "./errors.ts";
import { requireInteger, requireResource, requireSame, Resource } from "./resource.ts";

export interface CompletionQueueOptions {
  /** The least number of entries; the device may round up. */
  readonly entries: number;
  /** Where to announce completions; without one the queue can only be polled. */
  readonly channel?: CompletionChannel;
  /** Which of the context's completion vectors interrupts; 0 by default. */
  readonly vector?: number;
}

interface Events {
  unacknowledged: number;
}

const MODERATE = 1;

/** Where finished work requests are reported. */
export class CompletionQueue extends Resource {
  readonly context: Context;
  readonly channel: CompletionChannel | undefined;
  /** What `poll()` fills when it is given no other batch. */
  readonly completions = new CompletionBatch();
  readonly #events: Events;
  readonly #poll: InlineVerbs["poll_cq"];
  readonly #notify: InlineVerbs["req_notify_cq"];

  private constructor(address: Address, context: Context, channel: CompletionChannel | undefined, events: Events) {
    const { ibv_destroy_cq, ibv_ack_cq_events } = verbs().symbols;
    super({
      kind: "completion queue",
      address,
      parents: channel ? [context, channel] : [context],
      destroy: () => {
        // ibv_destroy_cq waits, without end, for every event that was taken to be acknowledged.
        ibv_ack_cq_events(address, events.unacknowledged);
        events.unacknowledged = 0;
        checked("ibv_destroy_cq", ibv_destroy_cq(address));
      },
    });
    this.context = context;
    this.channel = channel;
    this.#events = events;
    this.#poll = context.unsafeVerbs.poll_cq;
    this.#notify = context.unsafeVerbs.req_notify_cq;
  }

  static create(context: Context, options: CompletionQueueOptions): CompletionQueue {
    const { channel, vector = 0 } = options;
    const entries = requireInteger(options.entries, "entries", 1, 0x7fff_ffff);
    if (channel !== undefined) {
      requireResource(channel, CompletionChannel, "channel");
      requireSame(context, channel.context, "completion channel");
    }
    const { ibv_create_cq } = verbs().symbols;
    const address = created(
      "ibv_create_cq",
      ibv_create_cq(context.unsafeAddress, entries, 0, channel?.unsafeAddress ?? 0, vector),
    );
    return new CompletionQueue(address, context, channel, { unacknowledged: 0 });
  }

  /** How many completions fit. */
  get entries(): number {
    return unsafeReadField(this.unsafeAddress, structs.completionQueue, "cqe");
  }

  /**
   * Takes finished work off the queue, at most a batch, in one native call without allocation.
   * @returns how many; they stand in `into`.
   * @throws {VerbsError} where the queue itself is broken, such as after an overrun.
   */
  poll(into: CompletionBatch = this.completions): number {
    const count = this.#poll(this.unsafeAddress, into.capacity, into.unsafeAddress);
    into.count = count < 0 ? 0 : count;
    if (count < 0) checked("ibv_poll_cq", count);
    return count;
  }

  /**
   * Asks for one event on the channel at the next completion. Completions that are already there announce nothing:
   * poll once more after asking.
   */
  requestNotification(solicitedOnly = false): void {
    if (this.channel === undefined) {
      throw new VerbsUserError("INVALID_ARGUMENT", "this completion queue was created without a completion channel");
    }
    checked("ibv_req_notify_cq", this.#notify(this.unsafeAddress, solicitedOnly ? 1 : 0));
  }

  /** Events taken from the channel and not acknowledged yet. */
  get unacknowledged(): number {
    return this.#events.unacknowledged;
  }

  /** Acknowledges that many taken events, all of them by default. It takes a lock: better many at once than each. */
  acknowledge(count = this.#events.unacknowledged): void {
    requireInteger(count, "count", 0, this.#events.unacknowledged);
    verbs().symbols.ibv_ack_cq_events(this.unsafeAddress, count);
    this.#events.unacknowledged -= count;
  }

  /** For the channel, which took an event about this queue. */
  unsafeCountEvent(): void {
    this.#events.unacknowledged++;
  }

  /** Changes the room to at least that many entries. @throws {VerbsError} */
  resize(entries: number): void {
    requireInteger(entries, "entries", 1, 0x7fff_ffff);
    checked("ibv_resize_cq", verbs().symbols.ibv_resize_cq(this.unsafeAddress, entries));
  }

  /** Holds events back until so many completions or microseconds have passed. @throws {VerbsError} */
  moderate(completions: number, microseconds: number): void {
    const call = unsafeExtendedVerb(this.context.unsafeAddress, "modify_cq");
    if (!call) throw unsupported("ibv_modify_cq");
    const attributes = new StructBuffer(structs.modifyCompletionQueue)
      .set("attr_mask", MODERATE)
      .set("moderate.cq_count", requireInteger(completions, "completions", 0, 0xffff))
      .set("moderate.cq_period", requireInteger(microseconds, "microseconds", 0, 0xffff));
    checked("ibv_modify_cq", call(this.unsafeAddress, attributes.address));
  }
}
