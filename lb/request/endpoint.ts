/** Where a request's prompts and number of samples stand in its body. */
export interface Endpoint {
  readonly path: string;
  readonly dialect: "generate" | "openai";
  /** Members that may hold the prompt, in the order in which the engine looks at them. */
  readonly prompts: readonly string[];
  /** `batch`: a list there is one request per element. */
  readonly batch: boolean;
  /** `n` samples may be asked for. */
  readonly samples: boolean;
}

const generate: Endpoint = {
  path: "/generate",
  dialect: "generate",
  prompts: ["text", "input_ids", "input_embeds"],
  batch: true,
  samples: true,
};
const openai = (path: string, prompt: string, { batch = false, samples = false } = {}): Endpoint => ({
  path,
  dialect: "openai",
  prompts: [prompt],
  batch,
  samples,
});

/** Everything that is sent to a prefill and a decode server together. */
export const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map([
  ["/generate", generate],
  ["/v1/completions", openai("/v1/completions", "prompt", { batch: true, samples: true })],
  ["/v1/chat/completions", openai("/v1/chat/completions", "messages", { samples: true })],
  ["/v1/responses", openai("/v1/responses", "input")],
  ["/v1/messages", openai("/v1/messages", "messages")],
  ["/v1/rerank", openai("/v1/rerank", "documents")],
  ["/rerank", openai("/v1/rerank", "documents")],
]);
