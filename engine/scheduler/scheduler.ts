import { RequestError } from "../errors.ts";
import type { KvPool } from "../kvcache/index.ts";
import type { ModelStep } from "../step.ts";
import { composeBatch, type ScheduledSpan } from "./batch-composer.ts";
import { readSpan } from "./logits-reader.ts";
import type { GeneratedToken } from "./output.ts";
import type { FinishReason } from "./request.ts";
import type { Role } from "./role.ts";
import type { Sequence } from "./sequence.ts";
import { Signal } from "./signal.ts";

export interface SchedulerOptions {
  readonly step: ModelStep;
  readonly pool: KvPool;
  readonly role: Role;
  /** Tokens of prompts per step. */
  readonly chunkedPrefillSize: number;
  readonly maxRunning: number;
  /** Told of every sequence that ends. */
  readonly onFinish?: (sequence: Sequence) => void;
}

/**
 * Decides what is computed next. A sequence waits until pages for its whole length are free, so that one that has begun
 * never runs out; then its prompt is computed in chunks, then a token per step, in one batch with all others.
 * Whatever changes a sequence happens between two steps, here.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #waiting: Sequence[] = [];
  readonly #running: Sequence[] = [];
  readonly #live = new Map<string, Sequence>();
  readonly #wake = new Signal();
  #closed = false;
  #loop: Promise<void> | undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get running(): number {
    return this.#running.length;
  }

  /** Sequences that have not ended, wherever they are. */
  get live(): Iterable<Sequence> {
    return this.#live.values();
  }

  get liveCount(): number {
    return this.#live.size;
  }

  /** Begins to work and goes on until `close`. */
  start(): void {
    this.#loop ??= this.#run();
  }

  /** @throws {RequestError} 400 when it can never run here, 503 when the scheduler is closed. */
  check(sequence: Sequence): void {
    if (this.#closed) throw new RequestError("ENGINE_CLOSED", 503, "the engine is shutting down");
    const { request } = sequence;
    if (this.#live.has(request.id)) throw RequestError.invalid(`Duplicate request ID detected: ${request.id}`);
    this.#options.role.check(request);
    const { pool } = this.#options;
    const positions = this.#options.role.positions(request);
    if (pool.pagesFor(positions) > pool.allocator.pages) {
      throw RequestError.invalid(
        `the request needs ${positions} tokens of KV cache, the pool holds ${pool.capacityTokens}`,
      );
    }
  }

  /** Takes a sequence in; see `check` for what it throws. */
  submit(sequence: Sequence): void {
    this.check(sequence);
    this.#live.set(sequence.request.id, sequence);
    if (this.#options.role.accept(sequence)) this.enqueue(sequence);
    this.#wake.notify();
  }

  /** For roles: the sequence may be computed as soon as there is room. */
  enqueue(sequence: Sequence): void {
    this.#waiting.push(sequence);
  }

  /** For roles: the sequence has its pages and its first token, and decodes from there. */
  resume(sequence: Sequence): void {
    this.#running.push(sequence);
  }

  /** For roles: something happened outside that `poll` should see. */
  wake(): void {
    this.#wake.notify();
  }

  /** Asks for the sequence to end; it does so between two steps. */
  abort(sequence: Sequence, reason: string): void {
    if (sequence.finished) return;
    sequence.abortReason ??= reason;
    this.#wake.notify();
  }

  /** Ends every sequence and the loop. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const sequence of this.live) this.abort(sequence, "the engine is shutting down");
    this.#wake.notify();
    await this.#loop;
    this.#reap();
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      const { version } = this.#wake;
      // A turn through the event loop lets connections, aborts and health checks in.
      if (await this.turn()) await new Promise<void>((resolve) => setImmediate(resolve));
      else await this.#wake.changedSince(version);
    }
  }

  /** One round: what happened outside, who may begin, one step. False when there was nothing to do. */
  async turn(): Promise<boolean> {
    const { role, step, chunkedPrefillSize } = this.#options;
    const moved = role.poll();
    this.#reap();
    this.#admit();
    const batch = composeBatch(this.#running, chunkedPrefillSize);
    if (batch.length === 0) return moved;
    try {
      this.#settle(batch, await step.forward(batch.map(({ span }) => span)));
    } catch (cause) {
      for (const { sequence } of batch) {
        this.fail(sequence, new RequestError("STEP_FAILED", 500, `the forward pass failed: ${cause}`, { cause }));
      }
    }
    return true;
  }

  #reap(): void {
    for (const sequence of this.#live.values()) {
      if (sequence.abortReason === undefined) continue;
      this.#options.role.drop(sequence);
      this.finish(sequence, { type: "abort", message: sequence.abortReason });
    }
  }

  /** First come, first served: a large request is not overtaken for ever by small ones. */
  #admit(): void {
    const { pool, role, maxRunning } = this.#options;
    while (this.#waiting.length > 0 && this.#running.length < maxRunning) {
      const sequence = this.#waiting[0]!;
      const pages = pool.pagesFor(role.positions(sequence.request));
      if (pages > pool.allocator.free) return;
      this.#waiting.shift();
      sequence.pages = pool.allocator.allocate(pages);
      this.#running.push(sequence);
    }
  }

  #settle(batch: readonly ScheduledSpan[], logits: Float32Array): void {
    const { vocabularySize } = this.#options.step;
    let at = 0;
    for (const scheduled of batch) {
      const { sequence, span } = scheduled;
      const size = (span.tokens.length - span.logitsFrom) * vocabularySize;
      const token = readSpan(scheduled, logits.subarray(at, at + size), vocabularySize);
      at += size;
      this.#advance(sequence, span.tokens.length, token);
    }
  }

  #advance(sequence: Sequence, count: number, token: GeneratedToken | undefined): void {
    const { role } = this.#options;
    const wasPrefilling = sequence.prefilling;
    sequence.computed += count;
    if (token !== undefined) this.receive(sequence, token);
    if (wasPrefilling) role.advanced(sequence);
    if (sequence.prefilling) return;
    if (wasPrefilling && role.takes(sequence)) return this.#remove(this.#running, sequence);
    const { finishReason } = sequence.output;
    if (finishReason !== undefined) this.finish(sequence, finishReason);
    else if (token === undefined) this.finish(sequence, { type: "length", length: 0 });
  }

  /** Adds a token to the sequence's output and tells whoever reads it. */
  receive(sequence: Sequence, token: GeneratedToken): void {
    sequence.firstTokenAt ??= performance.now();
    sequence.output.append(token);
    sequence.signal.notify();
  }

  /** Ends a sequence: its pages go back, whoever waits is told. Ending it twice changes nothing. */
  finish(sequence: Sequence, reason: FinishReason): void {
    if (sequence.finished) return;
    sequence.output.finish(reason);
    sequence.finishedAt = performance.now();
    this.#remove(this.#waiting, sequence);
    this.#remove(this.#running, sequence);
    this.#live.delete(sequence.request.id);
    this.#options.pool.allocator.release(sequence.pages);
    sequence.pages = new Int32Array(0);
    this.#options.onFinish?.(sequence);
    sequence.signal.notify();
  }

  /** Ends a sequence with an error. */
  fail(sequence: Sequence, error: RequestError): void {
    sequence.error ??= error;
    this.finish(sequence, { type: "abort", message: error.message });
  }

  #remove(list: Sequence[], sequence: Sequence): void {
    const at = list.indexOf(sequence);
    if (at >= 0) list.splice(at, 1);
  }
}
