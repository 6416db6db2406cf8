import type { SamplingParams } from "./params.ts";

/** The index of the largest logit; the first of equals. */
export function argmax(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

/**
 * Draws a token. Temperature first, then top-k, top-p and min-p each keep a part of the candidates, as in SGLang.
 * @param logits one row. @param draw a uniform number in [0, 1).
 */
export function sampleToken(logits: Float32Array, params: SamplingParams, draw: number): number {
  if (params.temperature === 0 || params.topK === 1) return argmax(logits);
  const probabilities = temper(logits, params.temperature);
  const filtered = params.topK < logits.length || params.topP < 1 || params.minP > 0;
  const order = Int32Array.from({ length: logits.length }, (_, token) => token);
  if (filtered) order.sort((a, b) => probabilities[b]! - probabilities[a]! || a - b);
  const kept = filtered ? countKept(order, probabilities, params) : order.length;
  return drawFrom(order.subarray(0, kept), probabilities, draw);
}

/** Probabilities at a temperature, not normalised: the best token's is 1. */
function temper(logits: Float32Array, temperature: number): Float64Array {
  const max = logits[argmax(logits)]!;
  return Float64Array.from(logits, (logit) => Math.exp((logit - max) / temperature));
}

/** How many of the candidates, best first, the three filters leave. At least one. */
function countKept(order: Int32Array, probabilities: Float64Array, params: SamplingParams): number {
  const candidates = Math.min(params.topK, order.length);
  let total = 0;
  for (let i = 0; i < candidates; i++) total += probabilities[order[i]!]!;
  let sum = 0;
  for (let kept = 0; kept < candidates; kept++) {
    const probability = probabilities[order[kept]!]!;
    if (kept > 0 && (sum >= params.topP * total || probability < params.minP)) return kept;
    sum += probability;
  }
  return candidates;
}

function drawFrom(candidates: Int32Array, probabilities: Float64Array, draw: number): number {
  let total = 0;
  for (const token of candidates) total += probabilities[token]!;
  let rest = draw * total;
  for (const token of candidates) {
    rest -= probabilities[token]!;
    if (rest < 0) return token;
  }
  return candidates[candidates.length - 1]!;
}
