import { describe, expect, test } from "bun:test";
import { Checkpoint } from "../../../engine/checkpoint/index.ts";
import { heapMemory, KvPool } from "../../../engine/kvcache/index.ts";
import { logSumExp } from "../../../engine/math/index.ts";
import { loadModel } from "../../../engine/model/index.ts";
import { LOGPROB_TOLERANCE, modelNames, modelsDirectory, readReferences } from "../references.ts";

function argmax(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
  return best;
}

for (const name of modelNames) {
  describe(name, async () => {
    const model = await loadModel(await Checkpoint.open(`${modelsDirectory}/${name}`));
    const vocabulary = model.vocabularySize;
    const pool = new KvPool({ layout: model.layout, pageSize: 16, pages: 96, memory: heapMemory });
    const step = model.createStep(pool);
    const references = await readReferences(name);

    test("prompt log-probabilities and the five best next tokens are the reference's", async () => {
      for (const reference of references) {
        const tokens = Int32Array.from(reference.input_ids);
        const pages = pool.allocator.allocate(pool.pagesFor(tokens.length));
        const logits = await step.forward([{ tokens, start: 0, pages, logitsFrom: 0 }]);
        const logprob = (position: number, token: number) =>
          logits[position * vocabulary + token]! - logSumExp(logits, position * vocabulary, vocabulary);
        for (let i = 1; i < tokens.length; i++) {
          expect(Math.abs(logprob(i - 1, tokens[i]!) - reference.input_logprobs[i]!)).toBeLessThan(LOGPROB_TOLERANCE);
        }
        for (const [token, expected] of reference.next_top5) {
          expect(Math.abs(logprob(tokens.length - 1, token) - expected)).toBeLessThan(LOGPROB_TOLERANCE);
        }
        pool.allocator.release(pages);
      }
    });

    test("in chunks and beside other sequences the logits are the same to the bit", async () => {
      const tokens = Int32Array.from(references[0]!.input_ids);
      const other = Int32Array.from(references[1]!.input_ids);
      const [whole, chunked, beside] = [0, 0, 0].map(() => pool.allocator.allocate(pool.pagesFor(40))) as [
        Int32Array,
        Int32Array,
        Int32Array,
      ];
      const last = tokens.length - 1;
      const expected = (await step.forward([{ tokens, start: 0, pages: whole, logitsFrom: last }])).slice();
      await step.forward([{ tokens: tokens.subarray(0, 5), start: 0, pages: chunked, logitsFrom: 5 }]);
      const rest = tokens.subarray(5);
      const logits = await step.forward([
        { tokens: other, start: 0, pages: beside, logitsFrom: other.length },
        { tokens: rest, start: 5, pages: chunked, logitsFrom: rest.length - 1 },
      ]);
      expect(logits).toEqual(expected);
      for (const pages of [whole, chunked, beside]) pool.allocator.release(pages);
    });

    test("greedy tokens of every prompt, all together, are the reference's", async () => {
      const sequences = references.map((reference) => ({
        expected: reference.greedy_ids,
        found: [] as number[],
        pages: pool.allocator.allocate(pool.pagesFor(reference.input_ids.length + reference.greedy_ids.length)),
        next: Int32Array.from(reference.input_ids),
        start: 0,
      }));
      for (;;) {
        const open = sequences.filter((sequence) => sequence.found.length < sequence.expected.length);
        if (open.length === 0) break;
        const spans = open.map(({ next, start, pages }) => ({
          tokens: next,
          start,
          pages,
          logitsFrom: next.length - 1,
        }));
        const logits = await step.forward(spans);
        open.forEach((sequence, i) => {
          const token = argmax(logits.subarray(i * vocabulary, (i + 1) * vocabulary));
          sequence.start += sequence.next.length;
          sequence.next = Int32Array.of(token);
          sequence.found.push(token);
        });
      }
      for (const sequence of sequences) expect(sequence.found).toEqual(sequence.expected);
    });
  });
}
