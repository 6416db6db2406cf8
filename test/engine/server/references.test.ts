import { describe, expect, test } from "bun:test";
import { LOGPROB_TOLERANCE, type ModelName, modelNames, type Reference, readReferences } from "../references.ts";
import { type Answer, answerSchema, readAnswer, readEvents, startServer, type TestServer } from "../serving.ts";

const AT_ONCE = 16;

interface Case {
  readonly model: ModelName;
  readonly pageSize: number;
  readonly atOnce: number;
  readonly stream: boolean;
}

/** Every pair of choices is met; KVWIRE_TEST_MATRIX=1 runs all combinations. */
const pairwise: readonly Omit<Case, "model">[] = [
  { pageSize: 1, atOnce: AT_ONCE, stream: true },
  { pageSize: 16, atOnce: 1, stream: true },
  { pageSize: 64, atOnce: AT_ONCE, stream: false },
];
const everything = [1, 16, 64].flatMap((pageSize) =>
  [1, AT_ONCE].flatMap((atOnce) => [false, true].map((stream) => ({ pageSize, atOnce, stream }))),
);
const cases = process.env["KVWIRE_TEST_MATRIX"] ? everything : pairwise;

async function generate(server: TestServer, reference: Reference, stream: boolean): Promise<Answer> {
  const response = await server.post("/generate", {
    text: reference.prompt,
    sampling_params: { temperature: 0, max_new_tokens: 96 },
    return_logprob: true,
    logprob_start_len: 0,
    stream,
  });
  if (!stream) return readAnswer(response);
  const events = (await readEvents(response)).map((event) => answerSchema.parse(event));
  for (let i = 1; i < events.length; i++) {
    expect(events[i]!.output_ids.length).toBeGreaterThan(events[i - 1]!.output_ids.length);
    expect(events[i]!.text.startsWith(events[i - 1]!.text)).toBe(true);
    expect(events[i - 1]!.meta_info.finish_reason).toBeNull();
  }
  return events.at(-1)!;
}

function check(answer: Answer, reference: Reference): void {
  const { meta_info: meta } = answer;
  expect(answer.output_ids).toEqual(reference.greedy_ids);
  expect(answer.text).toBe(reference.text);
  expect(meta.prompt_tokens).toBe(reference.input_ids.length);
  expect(meta.completion_tokens).toBe(reference.greedy_ids.length);
  const ended = reference.greedy_ids.at(-1) === 1;
  expect(meta.finish_reason).toEqual(ended ? { type: "stop", matched: 1 } : { type: "length", length: 96 });
  expect(meta.input_token_logprobs!.map(([, token]) => token)).toEqual(reference.input_ids);
  meta.input_token_logprobs!.forEach(([logprob], i) => expectNear(logprob, reference.input_logprobs[i]!));
  meta.output_token_logprobs!.forEach(([logprob], i) => expectNear(logprob, reference.greedy_logprobs[i]!));
}

function expectNear(found: number | null, expected: number | null): void {
  if (expected === null) expect(found).toBeNull();
  else expect(Math.abs(found! - expected)).toBeLessThan(LOGPROB_TOLERANCE);
}

describe.each(modelNames.flatMap((model) => cases.map((options) => ({ model, ...options }))))(
  "$model, pages of $pageSize, $atOnce at once, streamed $stream",
  ({ model, pageSize, atOnce, stream }) => {
    test(
      "the nine prompts give exactly the reference tokens and texts",
      async () => {
        const references = await readReferences(model);
        const server = await startServer(model, { pageSize });
        const jobs = Array.from({ length: Math.max(atOnce, references.length) }, (_, i) => references[i % 9]!);
        for (let at = 0; at < jobs.length; at += atOnce) {
          const group = jobs.slice(at, at + atOnce);
          const answers = await Promise.all(group.map((reference) => generate(server, reference, stream)));
          answers.forEach((answer, i) => check(answer, group[i]!));
        }
        expect(server.engine.pool.allocator.used).toBe(0);
        await server.engine.close();
      },
      { timeout: 60_000 },
    );
  },
);
