import type { Context } from "hono";
import type { Engine, GenerationInput } from "../engine.ts";
import type { Sequence } from "../scheduler/index.ts";

/**
 * Starts all generations of one HTTP request, or none: each is checked before the first is submitted. They end when the
 * client goes away.
 * @throws {RequestError}
 */
export function startGenerations(c: Context, engine: Engine, inputs: readonly GenerationInput[]): Sequence[] {
  const sequences = inputs.map((input) => engine.prepare(input));
  try {
    for (const sequence of sequences) engine.submit(sequence);
  } catch (cause) {
    abandon(engine, sequences);
    throw cause;
  }
  c.req.raw.signal.addEventListener("abort", () => abandon(engine, sequences), { once: true });
  return sequences;
}

/** Ends generations whose client has gone. */
export function abandon(engine: Engine, sequences: readonly Sequence[]): void {
  for (const sequence of sequences) engine.scheduler.abort(sequence, "the client has disconnected");
}

/** Waits for every sequence. @throws {RequestError} when one failed; the others end then too. */
export async function finishAll(engine: Engine, sequences: readonly Sequence[]): Promise<void> {
  try {
    await Promise.all(sequences.map(finish));
  } catch (cause) {
    for (const sequence of sequences) engine.scheduler.abort(sequence, "another prompt of the same request failed");
    throw cause;
  }
}

async function finish(sequence: Sequence): Promise<void> {
  await sequence.done();
  if (sequence.error !== undefined) throw sequence.error;
}

/** Yields a sequence's number whenever it has something new, and for the last time when it has finished. */
export async function* changesOf(sequences: readonly Sequence[]): AsyncGenerator<number> {
  const sources = sequences.map((sequence) => sequence.changes());
  const advance = async (index: number) => ({ index, done: (await sources[index]!.next()).done === true });
  const pending = new Map(sources.map((_, index) => [index, advance(index)]));
  while (pending.size > 0) {
    const { index, done } = await Promise.race(pending.values());
    const { error } = sequences[index]!;
    if (error !== undefined) throw error;
    if (done) {
      pending.delete(index);
    } else {
      yield index;
      pending.set(index, advance(index));
    }
  }
}
