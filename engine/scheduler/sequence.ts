import type { RequestError } from "../errors.ts";
import type { GenerationOutput } from "./output.ts";
import type { GenerationRequest } from "./request.ts";
import { Signal } from "./signal.ts";

/** A cache's way from one server to the other. */
export interface TransferReport {
  readonly transport: string | undefined;
  readonly pages: number;
  /** Of all layers, and of the aux slot. */
  readonly bytes: number;
  /**
   * Prefill: how long writes were under way, and how long it took from the last chunk's computation to the end. Decode:
   * from telling its pages to the last byte, which has the computation of the prompt in it.
   */
  readonly seconds: { readonly writing: number; readonly tail: number } | { readonly waiting: number };
}

/** A request on its way through the engine: its pages, how far it is, what came out. */
export class Sequence {
  readonly request: GenerationRequest;
  readonly output: GenerationOutput;
  /** Changes with every token and at the end. */
  readonly signal = new Signal();
  readonly submittedAt = performance.now();
  firstTokenAt: number | undefined;
  finishedAt: number | undefined;
  /** Pages of the cache that this sequence holds; empty before it is admitted and after it ended. */
  pages: Int32Array = new Int32Array(0);
  /** Positions whose keys and values are in the cache. */
  computed = 0;
  /** Set from outside at any time; the scheduler acts on it between two steps. */
  abortReason: string | undefined;
  /** What moving the cache took, where it was moved. */
  transfer: TransferReport | undefined;
  /** Why it failed, where it did. */
  error: RequestError | undefined;

  constructor(request: GenerationRequest, output: GenerationOutput) {
    this.request = request;
    this.output = output;
  }

  get finished(): boolean {
    return this.finishedAt !== undefined;
  }

  /** Whether part of the prompt is still to be computed. */
  get prefilling(): boolean {
    return this.computed < this.request.prompt.length;
  }

  /** Position from which logits matter: the last of the prompt, or earlier when its log-probabilities are wanted. */
  get logitsFrom(): number {
    const last = this.request.prompt.length - 1;
    return Math.min(last, this.request.logprobs?.promptFrom ?? last);
  }

  /** Yields whenever something is new, several changes at once when the reader is slow; the last time when finished. */
  async *changes(): AsyncGenerator<void> {
    let seen = 0;
    for (;;) {
      const { version } = this.signal;
      const count = this.output.tokens.length;
      if (this.finished) {
        yield;
        return;
      }
      if (count > seen) {
        seen = count;
        yield;
      } else {
        await this.signal.changedSince(version);
      }
    }
  }

  /** Settles when the sequence has ended, in whatever way. */
  async done(): Promise<void> {
    while (!this.finished) await this.signal.changedSince(this.signal.version);
  }
}
