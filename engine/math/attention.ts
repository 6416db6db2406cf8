import { softmax } from "./softmax.ts";

/** Where keys and values of a layer lie: token slot s has its vectors at `s * stride`, one after the other per KV head. */
export interface AttentionShape {
  /** Query heads. */
  readonly heads: number;
  /** Heads of the cache; each serves heads / kvHeads query heads. */
  readonly kvHeads: number;
  readonly keySize: number;
  readonly valueSize: number;
  /** Elements from one token's keys to the next one's, and from one KV head to the next. */
  readonly keyStride: number;
  readonly keyHeadStride: number;
  readonly valueStride: number;
  readonly valueHeadStride: number;
  readonly scale: number;
}

/**
 * Attention of one query token over the slots it may see. Grouped-query attention has kvHeads < heads; multi-head
 * latent attention in its absorbed form is one KV head whose value is the front of its key.
 * Two heads are worked on at a time, as they share the cache's vectors; sums run in slot order, in double precision.
 */
export class Attention {
  readonly shape: AttentionShape;
  /** Two heads' scores, grown as histories grow. */
  #scores = new Float64Array(2 * 256);

  constructor(shape: AttentionShape) {
    this.shape = shape;
  }

  /**
   * @param q query at `qOffset`: [heads][keySize]
   * @param slots the first `length` name the token slots attended to
   * @param out written at `outOffset`: [heads][valueSize]
   */
  apply(
    q: Float32Array,
    qOffset: number,
    keys: Float32Array,
    values: Float32Array,
    slots: Int32Array,
    length: number,
    out: Float32Array,
    outOffset: number,
  ): void {
    const s = this.shape;
    if (this.#scores.length < 2 * length) this.#scores = new Float64Array(4 * length);
    const scores = this.#scores;
    const group = s.heads / s.kvHeads;
    for (let kv = 0; kv < s.kvHeads; kv++) {
      const keyBase = kv * s.keyHeadStride;
      const valueBase = kv * s.valueHeadStride;
      for (let g = 0; g < group; g += 2) {
        const head = kv * group + g;
        // An odd group's last head is computed against itself: same sums, no second kernel.
        const other = g + 1 < group ? head + 1 : head;
        scorePair(
          q,
          qOffset + head * s.keySize,
          qOffset + other * s.keySize,
          s.keySize,
          keys,
          keyBase,
          s.keyStride,
          slots,
          length,
          s.scale,
          scores,
        );
        softmax(scores, 0, length);
        softmax(scores, length, length);
        weighPair(
          scores,
          slots,
          length,
          values,
          valueBase,
          s.valueStride,
          s.valueSize,
          out,
          outOffset + head * s.valueSize,
          outOffset + other * s.valueSize,
        );
      }
    }
  }
}

/** scores[i] and scores[length + i] = scale * (query · key of slot i), for two queries; four slots at a time. */
function scorePair(
  q: Float32Array,
  first: number,
  second: number,
  size: number,
  keys: Float32Array,
  base: number,
  stride: number,
  slots: Int32Array,
  length: number,
  scale: number,
  scores: Float64Array,
): void {
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    const k0 = slots[i]! * stride + base;
    const k1 = slots[i + 1]! * stride + base;
    const k2 = slots[i + 2]! * stride + base;
    const k3 = slots[i + 3]! * stride + base;
    let a0 = 0;
    let a1 = 0;
    let a2 = 0;
    let a3 = 0;
    let b0 = 0;
    let b1 = 0;
    let b2 = 0;
    let b3 = 0;
    for (let d = 0; d < size; d++) {
      const a = q[first + d]!;
      const b = q[second + d]!;
      const v0 = keys[k0 + d]!;
      const v1 = keys[k1 + d]!;
      const v2 = keys[k2 + d]!;
      const v3 = keys[k3 + d]!;
      a0 += v0 * a;
      a1 += v1 * a;
      a2 += v2 * a;
      a3 += v3 * a;
      b0 += v0 * b;
      b1 += v1 * b;
      b2 += v2 * b;
      b3 += v3 * b;
    }
    scores[i] = a0 * scale;
    scores[i + 1] = a1 * scale;
    scores[i + 2] = a2 * scale;
    scores[i + 3] = a3 * scale;
    scores[length + i] = b0 * scale;
    scores[length + i + 1] = b1 * scale;
    scores[length + i + 2] = b2 * scale;
    scores[length + i + 3] = b3 * scale;
  }
  for (; i < length; i++) {
    const k = slots[i]! * stride + base;
    let a = 0;
    let b = 0;
    for (let d = 0; d < size; d++) {
      const v = keys[k + d]!;
      a += v * q[first + d]!;
      b += v * q[second + d]!;
    }
    scores[i] = a * scale;
    scores[length + i] = b * scale;
  }
}

/** out = sum over slots of probability * value, for two heads; four elements at a time. */
function weighPair(
  probabilities: Float64Array,
  slots: Int32Array,
  length: number,
  values: Float32Array,
  base: number,
  stride: number,
  size: number,
  out: Float32Array,
  first: number,
  second: number,
): void {
  let d = 0;
  for (; d + 4 <= size; d += 4) {
    let a0 = 0;
    let a1 = 0;
    let a2 = 0;
    let a3 = 0;
    let b0 = 0;
    let b1 = 0;
    let b2 = 0;
    let b3 = 0;
    for (let i = 0; i < length; i++) {
      const v = slots[i]! * stride + base + d;
      const a = probabilities[i]!;
      const b = probabilities[length + i]!;
      const v0 = values[v]!;
      const v1 = values[v + 1]!;
      const v2 = values[v + 2]!;
      const v3 = values[v + 3]!;
      a0 += v0 * a;
      a1 += v1 * a;
      a2 += v2 * a;
      a3 += v3 * a;
      b0 += v0 * b;
      b1 += v1 * b;
      b2 += v2 * b;
      b3 += v3 * b;
    }
    out[first + d] = a0;
    out[first + d + 1] = a1;
    out[first + d + 2] = a2;
    out[first + d + 3] = a3;
    out[second + d] = b0;
    out[second + d + 1] = b1;
    out[second + d + 2] = b2;
    out[second + d + 3] = b3;
  }
  for (; d < size; d++) {
    let a = 0;
    let b = 0;
    for (let i = 0; i < length; i++) {
      const v = values[slots[i]! * stride + base + d]!;
      a += v * probabilities[i]!;
      b += v * probabilities[length + i]!;
    }
    out[first + d] = a;
    out[second + d] = b;
  }
}
