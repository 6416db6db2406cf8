import { describe, expect, test } from "bun:test";
import { Rope, type RopeOptions, ropeFrequencies, roundToBfloat16 } from "../../../engine/math/index.ts";
import { createRandom, randomFloats } from "../random.ts";

const options: RopeOptions = {
  dimension: 8,
  length: 64,
  base: 10_000,
  scaling: { type: "default" },
  precision: "float32",
  interleaved: false,
};

describe("Rope", () => {
  test("position 0 changes nothing", () => {
    const x = randomFloats(createRandom(1), 8);
    const turned = x.slice();
    new Rope(options).apply(turned, 0, 0);
    expect(turned).toEqual(x);
  });

  for (const interleaved of [false, true]) {
    test(`pairs turn by position times frequency, ${interleaved ? "neighbours" : "halves"} being pairs`, () => {
      const x = randomFloats(createRandom(2), 10);
      const turned = x.slice();
      new Rope({ ...options, interleaved }).apply(turned, 1, 5);
      for (let j = 0; j < 4; j++) {
        const a = 1 + (interleaved ? 2 * j : j);
        const b = 1 + (interleaved ? 2 * j + 1 : j + 4);
        const angle = 5 * 10_000 ** (-j / 4);
        expect(turned[a]).toBeCloseTo(x[a]! * Math.cos(angle) - x[b]! * Math.sin(angle), 5);
        expect(turned[b]).toBeCloseTo(x[b]! * Math.cos(angle) + x[a]! * Math.sin(angle), 5);
      }
      expect([turned[0], turned[9]]).toEqual([x[0], x[9]]);
    });
  }

  test("linear scaling divides every frequency", () => {
    const plain = ropeFrequencies(16, 10_000, { type: "default" });
    const scaled = ropeFrequencies(16, 10_000, { type: "linear", factor: 4 });
    plain.forEach((value, j) => expect(scaled[j]).toBeCloseTo(value / 4, 7));
  });

  test("llama3 scaling keeps fast pairs, divides slow ones, blends between", () => {
    const llama3 = {
      type: "llama3",
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalLength: 8192,
    } as const;
    const plain = ropeFrequencies(128, 500_000, { type: "default" });
    const scaled = ropeFrequencies(128, 500_000, llama3);
    const ratios = Array.from(plain, (value, j) => scaled[j]! / value);
    expect(ratios[0]).toBe(1);
    expect(ratios[63]).toBeCloseTo(1 / 8, 5);
    expect(ratios.some((ratio) => ratio > 0.13 && ratio < 0.99)).toBe(true);
    for (let j = 1; j < ratios.length; j++) expect(ratios[j]! <= ratios[j - 1]! + 1e-6).toBe(true);
  });

  test("bfloat16 precision rounds frequencies, which shows at large positions", () => {
    const [exact, rounded] = (["float32", "bfloat16"] as const).map((precision) => {
      const x = Float32Array.of(1, 1, 1, 1, 0, 0, 0, 0);
      new Rope({ ...options, precision }).apply(x, 0, 60);
      return x;
    });
    expect(rounded![0]).toBe(exact![0]!);
    expect(rounded![1]).toBeCloseTo(Math.cos(60 * roundToBfloat16(0.1)), 5);
    expect(Math.abs(rounded![1]! - exact![1]!)).toBeGreaterThan(1e-3);
  });
});

test("roundToBfloat16 rounds to nearest, ties to even", () => {
  expect(roundToBfloat16(1)).toBe(1);
  expect(roundToBfloat16(1 + 2 ** -8)).toBe(1);
  expect(roundToBfloat16(1 + 3 * 2 ** -8)).toBe(1 + 2 ** -6);
  expect(roundToBfloat16(-0.1)).toBe(-0.10009765625);
});
