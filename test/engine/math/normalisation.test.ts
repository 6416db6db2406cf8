import { expect, test } from "bun:test";
import { add, logSumExp, RmsNorm, siluTimes, softmax } from "../../../engine/math/index.ts";

test("RmsNorm divides by the root of the mean square and scales, in place too", () => {
  const x = Float32Array.of(7, 3, 4, 7, 0, 0);
  new RmsNorm(Float32Array.of(1, 2), 1e-6).apply(x, x, 2, 1, 3, 1, 3);
  const root = Math.sqrt(12.5);
  [7, 3 / root, 8 / root, 7, 0, 0].forEach((value, i) => expect(x[i]).toBeCloseTo(value, 5));
});

test("softmax sums to one and survives large scores", () => {
  const x = Float32Array.of(5, 1000, 1001, 5);
  softmax(x, 1, 2);
  expect(x[1]! + x[2]!).toBeCloseTo(1, 6);
  expect(x[2]! / x[1]!).toBeCloseTo(Math.E, 4);
  expect([x[0], x[3]]).toEqual([5, 5]);
});

test("logSumExp neither overflows nor underflows", () => {
  expect(logSumExp(Float32Array.of(1000, 1000), 0, 2)).toBeCloseTo(1000 + Math.LN2, 6);
  expect(logSumExp(Float32Array.of(9, -1000, -1000), 1, 2)).toBeCloseTo(-1000 + Math.LN2, 6);
});

test("siluTimes and add work on the length given", () => {
  const gate = Float32Array.of(0, 2, -40, 3);
  siluTimes(gate, Float32Array.of(5, 3, 1, 9), 3);
  expect(gate[0]).toBe(0);
  expect(gate[1]).toBeCloseTo((2 / (1 + Math.exp(-2))) * 3, 5);
  expect(gate[2]).toBeCloseTo(0, 6);
  expect(gate[3]).toBe(3);
  add(gate, Float32Array.of(1, 1, 1, 1), 1);
  expect([gate[0], gate[3]]).toEqual([1, 3]);
});
