import { logSumExp } from "../math/index.ts";

/** A token and its natural-log probability under the model, before temperature. */
export interface TokenLogprob {
  readonly token: number;
  readonly logprob: number;
}

/** What a request wants to know of probabilities. */
export interface LogprobOptions {
  /** Position of the prompt from which its tokens' log-probabilities are wanted; undefined for none of them. */
  readonly promptFrom: number | undefined;
  /** How many of the best alternatives to tell per position. */
  readonly top: number;
}

/** The chosen token's log-probability in `logits` (one row) and the `top` best ones, best first. */
export function readLogprobs(
  logits: Float32Array,
  token: number,
  top: number,
): { chosen: TokenLogprob; best: readonly TokenLogprob[] } {
  const normaliser = logSumExp(logits, 0, logits.length);
  const at = (index: number): TokenLogprob => ({ token: index, logprob: logits[index]! - normaliser });
  return { chosen: at(token), best: largest(logits, top).map(at) };
}

/** Indices of the `count` largest values, largest first, by insertion: count is small. */
function largest(values: Float32Array, count: number): number[] {
  const found: number[] = [];
  if (count === 0) return found;
  for (let i = 0; i < values.length; i++) {
    if (found.length === count && values[i]! <= values[found[count - 1]!]!) continue;
    let at = found.length;
    while (at > 0 && values[found[at - 1]!]! < values[i]!) at--;
    found.splice(at, 0, i);
    if (found.length > count) found.pop();
  }
  return found;
}
