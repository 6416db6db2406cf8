import { KVPoll, type KVReceiver } from "../../lib/index.ts";
import { RequestError } from "../errors.ts";
import type { GeneratedToken, GenerationRequest, Role, RoleScheduler, Sequence } from "../scheduler/index.ts";
import { checkBootstrap, rendezvousOf } from "./bootstrap.ts";
import type { KvLink } from "./kv-link.ts";
import { transferFailure } from "./transfer-failure.ts";
import { receiveReport } from "./transfer-report.ts";

interface Receiving {
  readonly receiver: KVReceiver;
  readonly room: number;
  readonly fake: boolean;
  /** Lent, with the sequence's pages, once prefill is known and there is space. */
  slot: number | undefined;
  retained: Int32Array | undefined;
}

/**
 * Decode's part: a sequence waits until its prefill is known and its pages are free, receives the prompt's cache and the
 * first token, and is decoded from there.
 */
export class DecodeRole implements Role {
  readonly mode = "decode";
  readonly #link: KvLink;
  readonly #maxRunning: number;
  readonly #receiving = new Map<Sequence, Receiving>();
  readonly #rooms = new Set<number>();
  #scheduler: RoleScheduler | undefined;

  constructor(link: KvLink, maxRunning: number) {
    this.#link = link;
    this.#maxRunning = maxRunning;
  }

  attach(scheduler: RoleScheduler): void {
    this.#scheduler = scheduler;
  }

  get held(): Iterable<Sequence> {
    return this.#receiving.keys();
  }

  check(request: GenerationRequest): void {
    checkBootstrap(request, (room) => this.#rooms.has(room));
  }

  positions(request: GenerationRequest): number {
    return request.prompt.length + request.sampling.maxNewTokens;
  }

  accept(sequence: Sequence): boolean {
    const { room, address, fake } = rendezvousOf(sequence.request.bootstrap!, this.#link.defaultBootstrapPort);
    const receiver = this.#link.manager.createReceiver({ room, bootstrapAddr: address });
    this.#receiving.set(sequence, { receiver, room, fake, slot: undefined, retained: undefined });
    this.#rooms.add(room);
    const wake = (): void => this.#scheduler!.wake();
    void receiver.known().then(wake);
    void receiver.done.then(wake, wake);
    return false;
  }

  poll(): boolean {
    let moved = false;
    for (const [sequence, receiving] of this.#receiving) {
      switch (receiving.receiver.poll()) {
        case KVPoll.Failed:
          this.#fail(sequence, receiving);
          moved = true;
          break;
        case KVPoll.Success:
          this.#begin(sequence, receiving);
          moved = true;
          break;
        case KVPoll.WaitingForInput:
          // First come, first served: nobody overtakes a request that waits for pages.
          if (receiving.slot === undefined && !this.#makeRoom(sequence, receiving)) return moved;
      }
    }
    return moved;
  }

  advanced(): void {
    // Prompts are computed elsewhere.
  }

  takes(): boolean {
    return false;
  }

  drop(sequence: Sequence): boolean {
    const receiving = this.#receiving.get(sequence);
    if (!receiving) return false;
    receiving.receiver.abort(sequence.abortReason);
    this.#letGo(sequence, receiving);
    return true;
  }

  #makeRoom(sequence: Sequence, receiving: Receiving): boolean {
    const { pool, slots, aux } = this.#link;
    const pages = pool.pagesFor(this.positions(sequence.request));
    if (pages > pool.allocator.free || this.#scheduler!.running + this.#transferring >= this.#maxRunning) return false;
    const slot = slots.take();
    if (slot === undefined) return false;
    receiving.slot = slot;
    aux.clear(slot);
    sequence.pages = pool.allocator.allocate(pages);
    pool.allocator.retain(sequence.pages);
    receiving.retained = sequence.pages;
    receiving.receiver.init(sequence.pages.subarray(0, pool.pagesFor(sequence.request.prompt.length)), slot);
    return true;
  }

  get #transferring(): number {
    let count = 0;
    for (const { slot } of this.#receiving.values()) if (slot !== undefined) count++;
    return count;
  }

  /** The cache is here: the first token is prefill's, the next ones are ours. */
  #begin(sequence: Sequence, receiving: Receiving): void {
    const record = this.#link.aux.read(receiving.slot!);
    const { pool } = this.#link;
    const promptPages = pool.pagesFor(sequence.request.prompt.length);
    if (!receiving.fake) pool.load(sequence.pages.subarray(0, promptPages));
    sequence.transfer = receiveReport(receiving.receiver, promptPages);
    this.#letGo(sequence, receiving);
    if (!receiving.fake && record.room !== receiving.room) {
      const message = `the aux slot holds room ${record.room}, not ${receiving.room}: the transfer is corrupt`;
      return this.#scheduler!.fail(sequence, new RequestError("TRANSFER_FAILED", 500, message));
    }
    sequence.computed = sequence.request.prompt.length;
    if (sequence.request.sampling.maxNewTokens === 0) {
      return this.#scheduler!.finish(sequence, { type: "length", length: 0 });
    }
    this.#scheduler!.receive(sequence, firstToken(sequence.request, record));
    const { finishReason } = sequence.output;
    if (finishReason) this.#scheduler!.finish(sequence, finishReason);
    else this.#scheduler!.resume(sequence);
  }

  #fail(sequence: Sequence, receiving: Receiving): void {
    const cause = receiving.receiver.failureException();
    this.#letGo(sequence, receiving);
    this.#scheduler!.fail(sequence, transferFailure("Decode", sequence.request.id, receiving.room, cause));
  }

  /** The sequence leaves; its pages and its slot stay the transfer's until no write can land in them any more. */
  #letGo(sequence: Sequence, receiving: Receiving): void {
    this.#receiving.delete(sequence);
    const { receiver, slot, retained } = receiving;
    void receiver.released.then(() => {
      receiver.clear();
      this.#rooms.delete(receiving.room);
      if (retained) this.#link.pool.allocator.release(retained);
      if (slot !== undefined) this.#link.slots.giveBack(slot);
      this.#scheduler!.wake();
    });
  }
}

function firstToken(
  request: GenerationRequest,
  record: {
    outputIds: readonly number[];
    outputTokenLogprobs: readonly number[];
    outputTopLogprobs: readonly number[];
    outputTopLogprobIds: readonly number[];
  },
): GeneratedToken {
  const token = record.outputIds[0]!;
  if (!request.logprobs) return { token };
  const best = Array.from({ length: request.logprobs.top }, (_, i) => ({
    token: record.outputTopLogprobIds[i]!,
    logprob: record.outputTopLogprobs[i]!,
  }));
  return { token, logprob: record.outputTokenLogprobs[0]!, best };
}
