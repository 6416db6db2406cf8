import { expect } from "bun:test";
import { type ModelName, readReferences } from "../../references.ts";
import type { Ask, Generated } from "./half.ts";

const AT_ONCE = 16;
/** Of each answer: a machine that is emulated takes more than a second for one of all. KVWIRE_TEST_MATRIX=1 asks for all. */
const TOKENS = process.env["KVWIRE_TEST_MATRIX"] ? Infinity : 8;
let room = 1;

/** All reference prompts, some of them twice, so that there are 16 rooms at once; exact tokens on both sides. */
export async function expectReferences(
  model: ModelName,
  where: { readonly host: string; readonly port: number },
  generate: (ask: Ask) => readonly [prefill: Promise<Generated>, decode: Promise<Generated>],
): Promise<void> {
  const references = await readReferences(model);
  const jobs = Array.from({ length: AT_ONCE }, (_, i) => references[i % references.length]!);
  const tokens = Math.min(TOKENS, Math.max(...jobs.map(({ greedy_ids }) => greedy_ids.length)));
  const ask = { model, prompts: jobs.map(({ prompt }) => prompt), tokens, ...where, room };
  room += AT_ONCE;
  const [sent, received] = await Promise.all(generate(ask));
  expect(sent.outputs).toEqual(jobs.map(({ greedy_ids }) => greedy_ids.slice(0, 1)));
  expect(received.outputs).toEqual(jobs.map(({ greedy_ids }) => greedy_ids.slice(0, tokens)));
  for (const { transports, fragmented } of [sent, received]) {
    expect({ transports, fragmented }).toEqual({ transports: ["verbs"], fragmented: AT_ONCE });
  }
}
