import { join } from "node:path";
import { RequestError } from "../../../engine/errors.ts";
import { heapMemory, KvPool } from "../../../engine/kvcache/index.ts";
import { defaultSampling, type SamplingParams } from "../../../engine/sampling/index.ts";
import {
  GenerationOutput,
  type GenerationRequest,
  type Role,
  Scheduler,
  Sequence,
  wholeRole,
} from "../../../engine/scheduler/index.ts";
import type { ModelStep, TokenSpan } from "../../../engine/step.ts";
import { Tokenizer } from "../../../engine/tokenizer/index.ts";
import { modelsDirectory } from "../references.ts";

export const VOCABULARY = 4096;
const tokenizer = await Tokenizer.load(join(modelsDirectory, "kjv-llama-4m"));

/**
 * A model that remembers its input in the cache and whose next token is a function of everything before: whoever loses
 * or overwrites a slot gets other tokens. Keeps each batch it was given.
 */
export class ToyStep implements ModelStep {
  readonly vocabularySize = VOCABULARY;
  readonly batches: (readonly TokenSpan[])[] = [];
  readonly #pool: KvPool;
  failure: Error | undefined;

  constructor(pool: KvPool) {
    this.#pool = pool;
  }

  async forward(batch: readonly TokenSpan[]): Promise<Float32Array> {
    this.batches.push(batch);
    if (this.failure !== undefined) throw this.failure;
    const cache = this.#pool.data("key", 0);
    const wanted: number[] = [];
    for (const { tokens, start, pages, logitsFrom } of batch) {
      tokens.forEach((token, i) => {
        const at = (position: number) =>
          pages[Math.floor(position / this.#pool.pageSize)]! * this.#pool.pageSize + (position % this.#pool.pageSize);
        cache[at(start + i)] = token;
        if (i >= logitsFrom) {
          wanted.push(toyNext(Array.from({ length: start + i + 1 }, (_, position) => cache[at(position)]!)));
        }
      });
    }
    const logits = new Float32Array(wanted.length * VOCABULARY);
    wanted.forEach((token, row) => (logits[row * VOCABULARY + token] = 10));
    return logits;
  }
}

export function toyNext(history: readonly number[]): number {
  return 2 + (history.reduce((hash, token) => (hash * 31 + token) % 100_003, 7) % (VOCABULARY - 2));
}

/** What the toy model generates greedily. */
export function toyTokens(prompt: readonly number[], count: number): number[] {
  const history = [...prompt];
  while (history.length < prompt.length + count) history.push(toyNext(history));
  return history.slice(prompt.length);
}

export interface ToyOptions {
  readonly pages?: number;
  readonly pageSize?: number;
  readonly chunk?: number;
  readonly maxRunning?: number;
  readonly role?: Role;
}

export function createToy({ pages = 32, pageSize = 4, chunk = 8, maxRunning = 8, role = wholeRole }: ToyOptions = {}) {
  const layout = { layers: 1, heads: 1, buffers: [{ kind: "key", tokenSize: 1 }] } as const;
  const pool = new KvPool({ layout, pageSize, pages, memory: heapMemory, seed: 3 });
  const step = new ToyStep(pool);
  const finished: Sequence[] = [];
  const scheduler = new Scheduler({
    step,
    pool,
    role,
    chunkedPrefillSize: chunk,
    maxRunning,
    onFinish: (sequence) => finished.push(sequence),
  });
  return { pool, step, scheduler, finished };
}

let created = 0;

export function toySequence(
  prompt: readonly number[],
  sampling: Partial<SamplingParams> = {},
  request: Partial<GenerationRequest> = {},
): Sequence {
  const full: GenerationRequest = {
    id: `toy-${created++}`,
    prompt: Int32Array.from(prompt),
    sampling: { ...defaultSampling, temperature: 0, maxNewTokens: 5, ...sampling },
    seed: 1,
    logprobs: undefined,
    bootstrap: undefined,
    ...request,
  };
  return new Sequence(full, new GenerationOutput(full, tokenizer, new Set([1])));
}

export function tokensOf(sequence: Sequence): number[] {
  return sequence.output.tokens.map(({ token }) => token);
}

/** Turns until nothing is left to do. */
export async function drain(scheduler: Scheduler, most = 10_000): Promise<void> {
  for (let turns = 0; await scheduler.turn(); turns++) {
    if (turns > most) throw new RequestError("STEP_FAILED", 500, `still busy after ${most} turns`);
  }
}
