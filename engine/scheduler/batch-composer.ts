import type { TokenSpan } from "../step.ts";
import type { Sequence } from "./sequence.ts";

/** A sequence's share of the next step. */
export interface ScheduledSpan {
  readonly sequence: Sequence;
  readonly span: TokenSpan;
}

/**
 * The next step's batch: one token of every sequence that decodes, and up to `prefillBudget` tokens of prompts, the
 * earliest admitted first. Long prompts so take several steps, and decoding goes on in each of them.
 */
export function composeBatch(running: readonly Sequence[], prefillBudget: number): ScheduledSpan[] {
  const batch: ScheduledSpan[] = [];
  let budget = prefillBudget;
  for (const sequence of running) {
    if (!sequence.prefilling) {
      batch.push({ sequence, span: decodeSpan(sequence) });
    } else if (budget > 0) {
      const span = prefillSpan(sequence, budget);
      budget -= span.tokens.length;
      batch.push({ sequence, span });
    }
  }
  return batch;
}

function decodeSpan(sequence: Sequence): TokenSpan {
  const last = sequence.output.tokens[sequence.output.tokens.length - 1]!;
  return { tokens: Int32Array.of(last.token), start: sequence.computed, pages: sequence.pages, logitsFrom: 0 };
}

function prefillSpan(sequence: Sequence, budget: number): TokenSpan {
  const { computed: start, pages, request } = sequence;
  const tokens = request.prompt.subarray(start, start + budget);
  const logitsFrom = Math.min(tokens.length, Math.max(0, sequence.logitsFrom - start));
  return { tokens, start, pages, logitsFrom };
}
