import { describe, expect, test } from "bun:test";
import { createRandom } from "../random.ts";
import { createToy, drain, tokensOf, toySequence, toyTokens } from "./toy.ts";

const prompt = (length: number, first = 5) => Array.from({ length }, (_, i) => first + i);

describe("Scheduler", () => {
  test("a prompt in chunks of any size gives the tokens of the prompt at once", async () => {
    for (const chunk of [1, 3, 8, 100]) {
      const { scheduler, step } = createToy({ chunk });
      const sequence = toySequence(prompt(21));
      scheduler.submit(sequence);
      await drain(scheduler);
      expect(tokensOf(sequence)).toEqual(toyTokens(prompt(21), 5));
      for (const batch of step.batches) {
        expect(batch.reduce((sum, { tokens }) => sum + tokens.length, 0)).toBeLessThanOrEqual(Math.max(chunk, 1));
      }
    }
  });

  test("decoding goes on while a long prompt is computed", async () => {
    const { scheduler, step } = createToy({ chunk: 4, pages: 64 });
    const short = toySequence(prompt(3), { maxNewTokens: 20 });
    scheduler.submit(short);
    await scheduler.turn();
    scheduler.submit(toySequence(prompt(40, 100)));
    await drain(scheduler);
    const mixed = step.batches.filter((batch) => batch.length === 2 && batch[1]!.tokens.length === 4);
    expect(mixed.length).toBe(10);
    expect(tokensOf(short)).toEqual(toyTokens(prompt(3), 20));
  });

  test("more requests than the pool holds wait, all finish rightly, no page is lost", async () => {
    const { scheduler, pool, finished } = createToy({ pages: 6, maxRunning: 100 });
    const sequences = Array.from({ length: 40 }, (_, i) => toySequence(prompt(1 + (i % 9), 10 * i)));
    for (const sequence of sequences) scheduler.submit(sequence);
    await scheduler.turn();
    expect(scheduler.waiting).toBeGreaterThan(30);
    await drain(scheduler);
    for (const [i, sequence] of sequences.entries()) {
      expect(tokensOf(sequence)).toEqual(toyTokens(prompt(1 + (i % 9), 10 * i), 5));
    }
    expect(finished.length).toBe(40);
    expect(pool.allocator.used).toBe(0);
    expect(scheduler.liveCount).toBe(0);
  });

  test("no more than the given number run at once", async () => {
    const { scheduler, step } = createToy({ maxRunning: 3 });
    for (let i = 0; i < 9; i++) scheduler.submit(toySequence(prompt(2, i * 7)));
    await drain(scheduler);
    expect(Math.max(...step.batches.map((batch) => batch.length))).toBe(3);
  });

  test("a request that can never fit is refused, one that just fits is not", () => {
    const { scheduler } = createToy({ pages: 4, pageSize: 4 });
    expect(() => scheduler.submit(toySequence(prompt(12)))).toThrow("needs 17 tokens of KV cache, the pool holds 16");
    scheduler.submit(toySequence(prompt(11)));
    expect(scheduler.liveCount).toBe(1);
  });

  test("an id that is in use is refused until its request has ended", async () => {
    const { scheduler } = createToy();
    scheduler.submit(toySequence(prompt(2), {}, { id: "same" }));
    expect(() => scheduler.submit(toySequence(prompt(2), {}, { id: "same" }))).toThrow("Duplicate request ID");
    await drain(scheduler);
    scheduler.submit(toySequence(prompt(2), {}, { id: "same" }));
  });

  test("aborting gives pages back at the next turn, whether waiting, prefilling or decoding", async () => {
    const { scheduler, pool } = createToy({ chunk: 4, maxRunning: 2 });
    const decoding = toySequence(prompt(2), { maxNewTokens: 50 });
    const prefilling = toySequence(prompt(40));
    const waiting = toySequence(prompt(2));
    for (const sequence of [decoding, prefilling, waiting]) scheduler.submit(sequence);
    await scheduler.turn();
    await scheduler.turn();
    expect([decoding.prefilling, prefilling.prefilling, scheduler.waiting]).toEqual([false, true, 1]);
    for (const sequence of [decoding, prefilling, waiting]) scheduler.abort(sequence, "enough");
    await scheduler.turn();
    for (const sequence of [decoding, prefilling, waiting]) {
      expect(sequence.output.finishReason).toEqual({ type: "abort", message: "enough" });
    }
    expect(pool.allocator.used).toBe(0);
    expect(scheduler.liveCount).toBe(0);
    const kept = tokensOf(decoding);
    expect(kept).toEqual(toyTokens(prompt(2), kept.length));
  });

  test("aborting what has finished changes nothing", async () => {
    const { scheduler } = createToy();
    const sequence = toySequence(prompt(2));
    scheduler.submit(sequence);
    await drain(scheduler);
    scheduler.abort(sequence, "late");
    await scheduler.turn();
    expect(sequence.output.finishReason).toEqual({ type: "length", length: 5 });
  });

  test("a step that fails ends its requests with the cause and leaves the scheduler working", async () => {
    const { scheduler, step, pool } = createToy();
    const broken = toySequence(prompt(3));
    scheduler.submit(broken);
    step.failure = new Error("no such kernel");
    await scheduler.turn();
    expect(broken.error).toMatchObject({ status: 500, code: "STEP_FAILED" });
    expect(broken.error!.message).toContain("no such kernel");
    expect(pool.allocator.used).toBe(0);
    step.failure = undefined;
    const next = toySequence(prompt(3));
    scheduler.submit(next);
    await drain(scheduler);
    expect(tokensOf(next)).toEqual(toyTokens(prompt(3), 5));
  });

  test("max_new_tokens 0 computes the prompt and generates nothing", async () => {
    const { scheduler, step } = createToy();
    const sequence = toySequence(prompt(3), { maxNewTokens: 0 });
    scheduler.submit(sequence);
    await drain(scheduler);
    expect(step.batches.length).toBe(1);
    expect(sequence.output.finishReason).toEqual({ type: "length", length: 0 });
    expect(tokensOf(sequence)).toEqual([]);
  });

  test("prompt log-probabilities are complete across chunks, from any position", async () => {
    for (const promptFrom of [0, 3, 9, 10]) {
      const { scheduler } = createToy({ chunk: 3 });
      const sequence = toySequence(prompt(11), {}, { logprobs: { promptFrom, top: 1 } });
      scheduler.submit(sequence);
      await drain(scheduler);
      expect(sequence.output.prompt.map(({ token }) => token)).toEqual(prompt(11).slice(promptFrom));
      expect(sequence.output.prompt.map(({ logprob }) => logprob === null)).toEqual(
        prompt(11 - promptFrom).map((_, i) => i === 0),
      );
    }
  });

  test("closing ends what is under way and refuses what comes", async () => {
    const { scheduler, pool } = createToy();
    scheduler.start();
    const sequence = toySequence(prompt(4), { maxNewTokens: 60 });
    scheduler.submit(sequence);
    await scheduler.close();
    expect(sequence.output.finishReason?.type).toBe("abort");
    expect(pool.allocator.used).toBe(0);
    expect(() => scheduler.submit(toySequence(prompt(2)))).toThrow("shutting down");
  });

  test("through random submits and aborts every page comes back and every finished answer is right", async () => {
    const random = createRandom(11);
    const { scheduler, pool, finished } = createToy({ pages: 20, pageSize: 2, chunk: 5, maxRunning: 5 });
    const dice = (sides: number) => Math.floor(((random() + 1) / 2) * sides);
    let submitted = 0;
    for (let round = 0; round < 2000; round++) {
      if (dice(4) === 0) {
        scheduler.submit(toySequence(prompt(1 + dice(20), dice(900)), { maxNewTokens: 1 + dice(12) }));
        submitted++;
      }
      if (dice(15) === 0) {
        const live = [...scheduler.live];
        if (live.length > 0) scheduler.abort(live[dice(live.length)]!, "at random");
      }
      await scheduler.turn();
      expect(pool.allocator.used).toBeLessThanOrEqual(20);
    }
    await drain(scheduler);
    expect(finished.length).toBe(submitted);
    expect(pool.allocator.used).toBe(0);
    for (const sequence of finished) {
      const tokens = tokensOf(sequence);
      expect(tokens).toEqual(toyTokens([...sequence.request.prompt], tokens.length));
    }
  });
});
