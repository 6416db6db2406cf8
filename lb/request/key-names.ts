/** Keys that nearly every request has: finding one here costs a few comparisons, making a string of it a native call. */
const COMMON = [
  "bootstrap_host",
  "bootstrap_port",
  "bootstrap_room",
  "frequency_penalty",
  "ignore_eos",
  "input_ids",
  "logprobs",
  "max_completion_tokens",
  "max_new_tokens",
  "max_tokens",
  "messages",
  "model",
  "n",
  "presence_penalty",
  "prompt",
  "return_logprob",
  "rid",
  "sampling_params",
  "sampling_seed",
  "seed",
  "stop",
  "stream",
  "stream_options",
  "temperature",
  "text",
  "tools",
  "top_k",
  "top_p",
] as const;

const byLength: (readonly (readonly [name: string, bytes: Uint8Array])[] | undefined)[] = [];
for (const name of COMMON) {
  byLength[name.length] = [...(byLength[name.length] ?? []), [name, new TextEncoder().encode(name)]];
}

/** The common key whose bytes are [start, end), if it is one. */
export function commonKey(bytes: Uint8Array, start: number, end: number): string | undefined {
  const candidates = byLength[end - start];
  if (candidates === undefined) return undefined;
  search: for (const [name, wanted] of candidates) {
    for (let i = 0; i < wanted.length; i++) if (bytes[start + i] !== wanted[i]) continue search;
    return name;
  }
  return undefined;
}
