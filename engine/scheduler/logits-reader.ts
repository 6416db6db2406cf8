import { readLogprobs, sampleToken, uniform } from "../sampling/index.ts";
import type { ScheduledSpan } from "./batch-composer.ts";
import type { GeneratedToken } from "./output.ts";
import type { Sequence } from "./sequence.ts";

/**
 * Reads one span's rows of logits: notes the prompt's log-probabilities where they are wanted.
 * @returns the sampled token, or undefined while the prompt is not through or none is wanted.
 */
export function readSpan(
  { sequence, span }: ScheduledSpan,
  rows: Float32Array,
  vocabularySize: number,
): GeneratedToken | undefined {
  const { prompt, sampling } = sequence.request;
  const row = (index: number) => rows.subarray(index * vocabularySize, (index + 1) * vocabularySize);
  const first = span.start + span.logitsFrom;
  const end = span.start + span.tokens.length;
  for (let position = first; position < Math.min(end, prompt.length - 1); position++) {
    notePromptLogprob(sequence, position, row(position - first));
  }
  if (end < prompt.length) return undefined;
  if (end === prompt.length) noteFirstOfPrompt(sequence);
  return sampling.maxNewTokens === 0 ? undefined : sample(sequence, row(end - 1 - first));
}

/** The logits at `position` tell how likely the token after it was. */
function notePromptLogprob(sequence: Sequence, position: number, logits: Float32Array): void {
  const { prompt, logprobs } = sequence.request;
  if (logprobs?.promptFrom === undefined) return;
  noteFirstOfPrompt(sequence);
  const token = prompt[position + 1]!;
  const { chosen, best } = readLogprobs(logits, token, logprobs.top);
  sequence.output.prompt.push({ token, logprob: chosen.logprob, best });
}

/** The first token told of has nothing before it that was asked for. */
function noteFirstOfPrompt({ request, output }: Sequence): void {
  const from = request.logprobs?.promptFrom;
  if (from === undefined || output.prompt.length > 0 || from >= request.prompt.length) return;
  output.prompt.push({ token: request.prompt[from]!, logprob: null, best: null });
}

function sample(sequence: Sequence, logits: Float32Array): GeneratedToken {
  const { sampling, logprobs, seed } = sequence.request;
  const draw = uniform(seed, sequence.output.tokens.length);
  const token = sampleToken(logits, sampling, draw);
  if (logprobs === undefined) return { token };
  const { chosen, best } = readLogprobs(logits, token, logprobs.top);
  return { token, logprob: chosen.logprob, best };
}
