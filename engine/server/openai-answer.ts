import type { GeneratedToken, Sequence } from "../scheduler/index.ts";

/** `usage` over all sequences of a request. */
export function usage(sequences: readonly Sequence[]): Record<string, unknown> {
  const prompt = sequences.reduce((sum, { request }) => sum + request.prompt.length, 0);
  const completion = sequences.reduce((sum, { output }) => sum + output.tokens.length, 0);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: null,
  };
}

/** Finish reason in OpenAI's words, and what was matched in SGLang's. */
export function finish({ output }: Sequence): { finish_reason: string | null; matched_stop: number | string | null } {
  const reason = output.finishReason;
  return {
    finish_reason: reason?.type ?? null,
    matched_stop: reason?.type === "stop" ? reason.matched : null,
  };
}

/** What one sequence has brought since the last look. */
export class OutputCursor {
  readonly sequence: Sequence;
  #characters = 0;
  #tokens = 0;

  constructor(sequence: Sequence) {
    this.sequence = sequence;
  }

  take(): { text: string; textOffset: number; tokens: readonly GeneratedToken[] } {
    const { text, tokens } = this.sequence.output;
    const fresh = {
      text: text.slice(this.#characters),
      textOffset: this.#characters,
      tokens: tokens.slice(this.#tokens),
    };
    this.#characters = text.length;
    this.#tokens = tokens.length;
    return fresh;
  }
}
