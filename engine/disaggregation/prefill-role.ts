import { type AuxRecord, KVPoll, type KVSender } from "../../lib/index.ts";
import type { GenerationRequest, Role, RoleScheduler, Sequence } from "../scheduler/index.ts";
import { checkBootstrap, rendezvousOf } from "./bootstrap.ts";
import type { KvLink } from "./kv-link.ts";
import { transferFailure } from "./transfer-failure.ts";
import { sendReport } from "./transfer-report.ts";

interface Sending {
  readonly sender: KVSender;
  readonly room: number;
  /** Lent once decode is known; the sequence is scheduled from then on. */
  slot: number | undefined;
  /** Pages at the prompt's start that decode has already. */
  skipped: number;
  /** Pages given to the sender. */
  sent: number;
  /** The pages are held for the transfer besides for the sequence. */
  retained: Int32Array | undefined;
  /** The prompt is through: only the transfer is left. */
  computed: boolean;
}

/**
 * Prefill's part: a sequence waits until its decode is known, its pages are sent as chunks of the prompt are computed, and
 * it ends, with one token, when the last of them has arrived.
 */
export class PrefillRole implements Role {
  readonly mode = "prefill";
  readonly #link: KvLink;
  readonly #sending = new Map<Sequence, Sending>();
  readonly #rooms = new Set<number>();
  #scheduler: RoleScheduler | undefined;

  constructor(link: KvLink) {
    this.#link = link;
  }

  attach(scheduler: RoleScheduler): void {
    this.#scheduler = scheduler;
  }

  get held(): Iterable<Sequence> {
    return this.#sending.keys();
  }

  check(request: GenerationRequest): void {
    checkBootstrap(request, (room) => this.#rooms.has(room));
  }

  positions(request: GenerationRequest): number {
    return request.prompt.length;
  }

  accept(sequence: Sequence): boolean {
    const { room, address } = rendezvousOf(sequence.request.bootstrap!, this.#link.defaultBootstrapPort);
    const sender = this.#link.manager.createSender({ room, bootstrapAddr: address });
    const state = { slot: undefined, skipped: 0, sent: 0, retained: undefined, computed: false };
    this.#sending.set(sequence, { sender, room, ...state });
    this.#rooms.add(room);
    const wake = (): void => this.#scheduler!.wake();
    void sender.known().then(wake);
    void sender.done.then(wake, wake);
    return false;
  }

  poll(): boolean {
    let moved = false;
    for (const [sequence, sending] of this.#sending) moved = this.#look(sequence, sending) || moved;
    return moved;
  }

  advanced(sequence: Sequence): void {
    const sending = this.#sending.get(sequence);
    if (!sending) return;
    if (!sending.retained) {
      sending.retained = sequence.pages;
      this.#link.pool.allocator.retain(sequence.pages);
    }
    if (sequence.prefilling)
      return this.#send(sequence, sending, Math.floor(sequence.computed / this.#link.pool.pageSize));
    this.#link.aux.write(sending.slot!, auxRecord(sequence, sending.room));
    sending.computed = true;
    this.#send(sequence, sending, sequence.pages.length);
  }

  takes(sequence: Sequence): boolean {
    return this.#sending.has(sequence);
  }

  drop(sequence: Sequence): boolean {
    const sending = this.#sending.get(sequence);
    if (!sending) return false;
    sending.sender.abort(sequence.abortReason);
    this.#letGo(sequence, sending);
    return true;
  }

  /** True when the sequence moved on. */
  #look(sequence: Sequence, sending: Sending): boolean {
    const state = sending.sender.poll();
    if (state === KVPoll.Failed) {
      const cause = sending.sender.failureException();
      this.#letGo(sequence, sending);
      this.#scheduler!.fail(sequence, transferFailure("Prefill", sequence.request.id, sending.room, cause));
      return true;
    }
    if (sending.computed) {
      if (state !== KVPoll.Success) return false;
      sequence.transfer = sendReport(sending.sender, sending.sent - sending.skipped);
      this.#letGo(sequence, sending);
      this.#scheduler!.finish(sequence, { type: "length", length: 0 });
      return true;
    }
    if (sending.slot !== undefined || state === KVPoll.Bootstrapping) return false;
    sending.slot = this.#link.slots.take();
    if (sending.slot === undefined) return false;
    const { pool } = this.#link;
    sending.skipped = Math.floor((sending.sender.popDecodePrefixLen() ?? 0) / pool.pageSize);
    sending.sent = sending.skipped;
    sending.sender.init(pool.pagesFor(sequence.request.prompt.length) - sending.skipped, sending.slot);
    this.#scheduler!.enqueue(sequence);
    return true;
  }

  /** Gives the sender what is computed up to page `until`. */
  #send(sequence: Sequence, sending: Sending, until: number): void {
    if (sending.sender.poll() === KVPoll.Failed) return;
    if (until > sending.sent || sending.computed) {
      const pages = sequence.pages.subarray(sending.sent, Math.max(until, sending.sent));
      this.#link.pool.store(pages);
      sending.sender.send(pages);
      sending.sent = Math.max(until, sending.sent);
    }
  }

  /** The sequence leaves; its pages and its slot stay the transfer's until nothing reads them any more. */
  #letGo(sequence: Sequence, sending: Sending): void {
    this.#sending.delete(sequence);
    const { sender, slot, retained } = sending;
    void sender.released.then(() => {
      sender.clear();
      this.#rooms.delete(sending.room);
      if (retained) this.#link.pool.allocator.release(retained);
      if (slot !== undefined) this.#link.slots.giveBack(slot);
      this.#scheduler!.wake();
    });
  }
}

/** What decode cannot know otherwise: the first token, and how likely it was. */
function auxRecord(sequence: Sequence, room: number): AuxRecord {
  const [first] = sequence.output.tokens;
  if (!first) return { room, outputIds: [] };
  return {
    room,
    outputIds: [first.token],
    ...(first.logprob === undefined
      ? {}
      : {
          outputTokenLogprobs: [first.logprob],
          outputTokenLogprobIds: [first.token],
          outputTopLogprobs: first.best?.map(({ logprob }) => logprob) ?? [],
          outputTopLogprobIds: first.best?.map(({ token }) => token) ?? [],
        }),
  };
}
