import { describe, expect, test } from "bun:test";
import { Attention, type AttentionShape } from "../../../engine/math/index.ts";
import { createRandom, randomFloats } from "../random.ts";

function naive(s: AttentionShape, q: Float32Array, k: Float32Array, v: Float32Array, slots: Int32Array): Float32Array {
  const out = new Float32Array(s.heads * s.valueSize);
  for (let head = 0; head < s.heads; head++) {
    const kv = Math.floor(head / (s.heads / s.kvHeads));
    const weights = Array.from(slots, (slot) => {
      let dot = 0;
      for (let d = 0; d < s.keySize; d++) {
        dot += q[head * s.keySize + d]! * k[slot * s.keyStride + kv * s.keyHeadStride + d]!;
      }
      return Math.exp(dot * s.scale);
    });
    const sum = weights.reduce((a, b) => a + b, 0);
    for (let d = 0; d < s.valueSize; d++) {
      const at = kv * s.valueHeadStride + d;
      const mixed = weights.reduce((total, weight, i) => total + weight * v[slots[i]! * s.valueStride + at]!, 0);
      out[head * s.valueSize + d] = mixed / sum;
    }
  }
  return out;
}

function shape(heads: number, kvHeads: number, size: number): AttentionShape {
  return {
    heads,
    kvHeads,
    keySize: size,
    valueSize: size,
    keyStride: kvHeads * size,
    keyHeadStride: size,
    valueStride: kvHeads * size,
    valueHeadStride: size,
    scale: size ** -0.5,
  };
}

const latent: AttentionShape = {
  heads: 4,
  kvHeads: 1,
  keySize: 14,
  valueSize: 9,
  keyStride: 14,
  keyHeadStride: 0,
  valueStride: 14,
  valueHeadStride: 0,
  scale: 0.3,
};

describe("Attention", () => {
  for (const [name, s] of [
    ["multi-head", shape(3, 3, 8)],
    ["grouped, an even number of query heads each", shape(8, 2, 12)],
    ["grouped, an odd number of query heads each", shape(14, 2, 6)],
    ["latent, values being the front of the keys", latent],
  ] as const) {
    for (const length of [1, 4, 23]) {
      test(`${name}, ${length} scattered slots`, () => {
        const random = createRandom(length);
        const keys = randomFloats(random, 64 * s.keyStride);
        const values = s === latent ? keys : randomFloats(random, 64 * s.valueStride);
        const q = randomFloats(random, s.heads * s.keySize);
        const slots = Int32Array.from({ length }, (_, i) => (i * 37 + 11) % 64);
        const out = new Float32Array(s.heads * s.valueSize);
        new Attention(s).apply(q, 0, keys, values, slots, length, out, 0);
        const expected = naive(s, q, keys, values, slots);
        out.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 5));
      });
    }
  }

  test("scores in the hundreds neither overflow nor lose the largest", () => {
    const s = shape(1, 1, 1);
    const out = new Float32Array(1);
    const keys = Float32Array.of(-900, 900, 899);
    new Attention(s).apply(Float32Array.of(1), 0, keys, Float32Array.of(1, 2, 3), Int32Array.of(0, 1, 2), 3, out, 0);
    expect(out[0]).toBeCloseTo(2 + 1 / (1 + Math.E), 5);
  });
});
