import { describe, expect, test } from "bun:test";
import {
  defaultSampling,
  readLogprobs,
  type SamplingParams,
  sampleToken,
  samplingParamsSchema,
  StopStrings,
  uniform,
} from "../../../engine/sampling/index.ts";

const logits = Float32Array.from([0.5, 0.3, 0.15, 0.05], Math.log);

/** How often each token comes out of draws spread evenly over [0, 1). */
function shares(params: Partial<SamplingParams>): number[] {
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 1000; i++) counts[sampleToken(logits, { ...defaultSampling, ...params }, (i + 0.5) / 1000)]!++;
  return counts.map((count) => count / 1000);
}

describe("sampleToken", () => {
  test("at temperature 0 takes the best token, the first of equals", () => {
    expect(sampleToken(Float32Array.of(1, 5, 5), { ...defaultSampling, temperature: 0 }, 0.99)).toBe(1);
  });

  for (const [name, params, expected] of [
    ["nothing set", {}, [0.5, 0.3, 0.15, 0.05]],
    ["temperature 0.5 sharpens", { temperature: 0.5 }, [0.685, 0.247, 0.062, 0.006]],
    ["top_k 2 keeps two", { topK: 2 }, [0.625, 0.375, 0, 0]],
    ["top_p 0.7 keeps what reaches it", { topP: 0.7 }, [0.625, 0.375, 0, 0]],
    ["top_p 0.4 keeps one at least", { topP: 0.4 }, [1, 0, 0, 0]],
    ["min_p is relative to the best", { minP: 0.25 }, [0.5263, 0.3158, 0.1579, 0]],
    ["top_p counts within top_k", { topK: 2, topP: 0.63 }, [0.625, 0.375, 0, 0]],
  ] as const) {
    test(`${name}`, () => {
      shares(params).forEach((share, token) => expect(Math.abs(share - expected[token]!)).toBeLessThan(0.003));
    });
  }
});

test("uniform depends on seed and index alone and fills [0, 1) evenly", () => {
  expect(uniform(7, 3)).toBe(uniform(7, 3));
  expect(uniform(7, 3)).not.toBe(uniform(7, 4));
  expect(uniform(7, 3)).not.toBe(uniform(8, 3));
  expect(uniform(2 ** 33, 3)).not.toBe(uniform(2 ** 34, 3));
  const tenths = Array.from({ length: 10 }, () => 0);
  for (let i = 0; i < 10_000; i++) tenths[Math.floor(uniform(i % 100, Math.floor(i / 100)) * 10)]!++;
  for (const count of tenths) expect(Math.abs(count - 1000)).toBeLessThan(150);
});

test("readLogprobs gives the chosen one and the best ones in order", () => {
  const { chosen, best } = readLogprobs(logits, 2, 3);
  expect(chosen.token).toBe(2);
  expect(chosen.logprob).toBeCloseTo(Math.log(0.15), 5);
  expect(best.map(({ token }) => token)).toEqual([0, 1, 2]);
  expect(readLogprobs(logits, 0, 0).best).toEqual([]);
});

describe("StopStrings", () => {
  test("finds the earliest match, also one that began before the searched part", () => {
    const stops = new StopStrings(["STOP", "op!"]);
    expect(stops.find("a STOP", 4)).toEqual({ stop: "STOP", at: 2 });
    expect(stops.find("a STop! STOP", 0)).toEqual({ stop: "op!", at: 4 });
    expect(stops.find("a STO", 0)).toBeUndefined();
  });

  test("says how much of the end may yet become a stop string", () => {
    const stops = new StopStrings(["abab", "xyz"]);
    expect([stops.pending("..aba"), stops.pending("..ab"), stops.pending("..xy"), stops.pending("..x.")]).toEqual([
      3, 2, 2, 0,
    ]);
    expect(new StopStrings([]).pending("anything")).toBe(0);
  });
});

describe("sampling_params", () => {
  test("defaults are SGLang's, and null counts as absent", () => {
    expect(defaultSampling).toMatchObject({ maxNewTokens: 128, maxNewTokensGiven: false, temperature: 1, topP: 1 });
    expect(samplingParamsSchema.parse({ max_new_tokens: null, stop: null })).toEqual(defaultSampling);
  });

  for (const [field, value] of [
    ["temperature", -1],
    ["temperature", "hot"],
    ["top_p", 0],
    ["top_p", 1.1],
    ["top_k", 0],
    ["top_k", 1.5],
    ["min_p", 2],
    ["max_new_tokens", -1],
    ["n", 2],
    ["stop", 5],
    ["stop_token_ids", "x"],
    ["frequency_penalty", 0.5],
    ["json_schema", "{}"],
    ["no_such_parameter", 1],
  ] as const) {
    test(`${field} ${JSON.stringify(value)} is refused`, () => {
      const parsed = samplingParamsSchema.safeParse({ [field]: value });
      expect(parsed.success).toBe(false);
      expect(JSON.stringify(parsed.error!.issues)).toContain(field);
    });
  }
});
