import { describe, expect, test } from "bun:test";
import { Linear } from "../../../engine/math/index.ts";
import { createRandom, randomFloats } from "../random.ts";

function naive(w: Float32Array, x: Float32Array, outputs: number, inputs: number, bias: Float32Array | null): number[] {
  return Array.from({ length: outputs }, (_, row) => {
    let sum = 0;
    for (let i = 0; i < inputs; i++) sum += w[row * inputs + i]! * x[i]!;
    return sum + (bias?.[row] ?? 0);
  });
}

describe("Linear", () => {
  for (const [outputs, inputs, count] of [
    [1, 1, 1],
    [7, 5, 3],
    [8, 16, 1],
    [16, 3, 2],
    [37, 41, 9],
  ] as const) {
    test(`${outputs} × ${inputs} times ${count} vectors equals the sums written out`, () => {
      const random = createRandom(outputs * 1000 + inputs);
      const w = randomFloats(random, outputs * inputs);
      const bias = randomFloats(random, outputs);
      const x = randomFloats(random, inputs * count);
      const y = new Float32Array(outputs * count);
      new Linear(w, outputs, inputs, bias).apply(x, y, count);
      for (let n = 0; n < count; n++) {
        const expected = naive(w, x.subarray(n * inputs, (n + 1) * inputs), outputs, inputs, bias);
        for (let row = 0; row < outputs; row++) expect(y[n * outputs + row]).toBeCloseTo(expected[row]!, 5);
      }
    });
  }

  test("offsets and strides place inputs and results, and nothing else is written", () => {
    const random = createRandom(3);
    const w = randomFloats(random, 10 * 4);
    const x = randomFloats(random, 40);
    const y = new Float32Array(60).fill(99);
    new Linear(w, 10, 4).apply(x, y, 3, 2, 11, 5, 17);
    const written = new Set<number>();
    for (let n = 0; n < 3; n++) {
      const expected = naive(w, x.subarray(2 + n * 11, 6 + n * 11), 10, 4, null);
      for (let row = 0; row < 10; row++) {
        expect(y[5 + n * 17 + row]).toBeCloseTo(expected[row]!, 5);
        written.add(5 + n * 17 + row);
      }
    }
    y.forEach((value, at) => written.has(at) || expect(value).toBe(99));
  });

  test("a vector's result is the same to the bit, alone and among others", () => {
    const random = createRandom(5);
    const linear = new Linear(randomFloats(random, 24 * 33), 24, 33);
    const x = randomFloats(random, 33 * 5);
    const together = new Float32Array(24 * 5);
    linear.apply(x, together, 5);
    for (let n = 0; n < 5; n++) {
      const alone = new Float32Array(24);
      linear.apply(x, alone, 1, n * 33);
      expect(together.slice(n * 24, (n + 1) * 24)).toEqual(alone);
    }
  });

  test("rows come back as they were given", () => {
    const w = randomFloats(createRandom(7), 19 * 6);
    const linear = new Linear(w, 19, 6);
    for (let row = 0; row < 19; row++) {
      const out = new Float32Array(8);
      linear.copyRow(row, out, 1);
      expect(out.slice(1, 7)).toEqual(w.slice(row * 6, (row + 1) * 6));
    }
  });
});
