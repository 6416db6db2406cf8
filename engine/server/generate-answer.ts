import type { TokenLogprob } from "../sampling/index.ts";
import type { Sequence } from "../scheduler/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";

/** SGLang's way to tell of a token: log-probability, id, and its text or null. */
type LogprobTriple = readonly [number | null, number, string | null];

/** The answer for one sequence as it stands: text and token ids from the first one on. */
export function generateAnswer(sequence: Sequence, tokenizer: Tokenizer, withText: boolean): Record<string, unknown> {
  const { request, output } = sequence;
  return {
    text: output.text,
    output_ids: output.tokens.map(({ token }) => token),
    meta_info: {
      id: request.id,
      finish_reason: output.finishReason ?? null,
      prompt_tokens: request.prompt.length,
      weight_version: "default",
      completion_tokens: output.tokens.length,
      cached_tokens: 0,
      e2e_latency: ((sequence.finishedAt ?? performance.now()) - sequence.submittedAt) / 1000,
      ...(sequence.transfer ? { kv_transfer: sequence.transfer } : {}),
      ...(request.logprobs === undefined ? {} : logprobInfo(sequence, tokenizer, withText)),
    },
  };
}

function logprobInfo({ request, output }: Sequence, tokenizer: Tokenizer, withText: boolean): Record<string, unknown> {
  const triple = (token: number, logprob: number | null): LogprobTriple => [
    logprob,
    token,
    withText ? tokenizer.decode([token], false) : null,
  ];
  const triples = (best: readonly TokenLogprob[] | null | undefined) =>
    best?.map(({ token, logprob }) => triple(token, logprob)) ?? null;
  const info = {
    input_token_logprobs: output.prompt.map(({ token, logprob }) => triple(token, logprob)),
    output_token_logprobs: output.tokens.map(({ token, logprob }) => triple(token, logprob ?? null)),
  };
  if (!request.logprobs?.top) return info;
  return {
    ...info,
    input_top_logprobs: output.prompt.map(({ best }) => triples(best)),
    output_top_logprobs: output.tokens.map(({ best }) => triples(best)),
  };
}
