import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { LOGPROB_TOLERANCE, type ModelName, modelNames, type Reference, readReferences } from "../engine/references.ts";
import type { Answer } from "../engine/serving.ts";
import { BalancerProcess } from "./support/balancer-process.ts";
import { EngineProcess } from "./support/engine-process.ts";
import { everyCombination, type Factors, pairwise } from "./support/pairwise.ts";
import { lastAnswer, post, postBoth } from "./support/requests.ts";

interface Case {
  readonly model: ModelName;
  readonly transport: string;
  readonly pageSize: number;
  readonly atOnce: number;
  readonly stream: boolean;
  readonly balanced: boolean;
}

const factors: Factors<Case> = {
  transport: ["shm", "cma", "tcp"],
  pageSize: [1, 16, 64],
  model: modelNames,
  atOnce: [16, 1],
  stream: [false, true],
  balanced: [true, false],
};

/** KVWIRE_TEST_MATRIX=1, as `bun run test:matrix` sets it, runs all combinations. */
const cases = process.env["KVWIRE_TEST_MATRIX"] ? everyCombination(factors) : pairwise(factors);
const clusters = Map.groupBy(cases, ({ model, transport, pageSize }) => `${model}, ${transport}, pages of ${pageSize}`);

describe.each([...clusters])("%s", (_, group) => {
  const { model, transport, pageSize } = group[0]!;
  let prefill: EngineProcess;
  let decode: EngineProcess;
  let balancer: BalancerProcess;
  let references: readonly Reference[];

  beforeAll(async () => {
    references = await readReferences(model);
    const line = `--disaggregation-transfer-backend ${transport} --page-size ${pageSize} --max-total-tokens 8192`;
    const options = line.split(" ");
    [prefill, decode] = await Promise.all([
      EngineProcess.start({ mode: "prefill", model, options }),
      EngineProcess.start({ mode: "decode", model, options }),
    ]);
    balancer = await BalancerProcess.start([prefill], [decode]);
  }, 60_000);

  afterAll(async () => {
    await Promise.all([balancer, prefill, decode].map((server) => server?.[Symbol.asyncDispose]()));
  });

  async function generate({ prompt }: Reference, { stream, balanced }: Case): Promise<Answer> {
    const body = {
      text: prompt,
      sampling_params: { temperature: 0, max_new_tokens: 96 },
      return_logprob: true,
      logprob_start_len: 0,
      stream,
    };
    if (balanced) return lastAnswer(await post(balancer.url, body), stream);
    const both = postBoth(prefill, decode, body);
    const [computed, answer] = await Promise.all([
      both.prefill.then((response) => lastAnswer(response, stream)),
      both.decode.then((response) => lastAnswer(response, stream)),
    ]);
    expect(answer.output_ids.slice(0, 1)).toEqual(computed.output_ids);
    // Decode has not seen the prompt's logits: a load balancer puts prefill's in their place.
    const { input_token_logprobs } = computed.meta_info;
    return { ...answer, meta_info: { ...answer.meta_info, input_token_logprobs } };
  }

  function check({ output_ids, text, meta_info: meta }: Answer, reference: Reference): void {
    expect(output_ids).toEqual(reference.greedy_ids);
    expect(text).toBe(reference.text);
    expect(meta.input_token_logprobs!.map(([, token]) => token)).toEqual(reference.input_ids);
    meta.input_token_logprobs!.forEach(([logprob], i) => expectNear(logprob, reference.input_logprobs[i]!));
    meta.output_token_logprobs!.forEach(([logprob], i) => expectNear(logprob, reference.greedy_logprobs[i]!));
    expect(meta["kv_transfer"]).toMatchObject({ transport, pages: Math.ceil(meta.prompt_tokens / pageSize) });
  }

  test.each(group)(
    "$atOnce at once, streamed $stream, through the load balancer $balanced",
    async (options) => {
      const jobs = Array.from({ length: Math.max(options.atOnce, references.length) }, (_, i) => references[i % 9]!);
      for (let at = 0; at < jobs.length; at += options.atOnce) {
        const some = jobs.slice(at, at + options.atOnce);
        const answers = await Promise.all(some.map((reference) => generate(reference, options)));
        answers.forEach((answer, i) => check(answer, some[i]!));
      }
      await Promise.all([prefill.atRest(), decode.atRest()]);
    },
    120_000,
  );
});

function expectNear(found: number | null, expected: number | null): void {
  if (expected === null) expect(found).toBeNull();
  else expect(Math.abs(found! - expected)).toBeLessThan(LOGPROB_TOLERANCE);
}
