type Body = Readonly<Record<string, unknown>>;

/** One request of which the real servers' answers are kept. */
export interface RecordedCase {
  readonly name: string;
  readonly method: "GET" | "POST";
  readonly path: string;
  /** An object, or text that is sent as it stands. */
  readonly body?: Body | string;
  /**
   * `pair`: to both with one room, as a load balancer does. `each`: to both as it is, one after the other. `aborted`: to
   * each alone, and after a while `/abort_request`. `unreachable`: to decode, with a bootstrap port where nobody listens.
   * `orphaned`: to decode alone, and after a while its prefill is killed.
   */
  readonly how: "pair" | "each" | "aborted" | "unreachable" | "orphaned";
  /** Sent without a key. */
  readonly keyless?: true;
  /** Members of a long answer that are kept. */
  readonly keep?: readonly string[];
}

const TEXT = "In the beginning God created";
const IDS = [79, 261, 1145];
const greedy = { temperature: 0, max_new_tokens: 6 };
const openai = { model: "kjv", temperature: 0, max_tokens: 6 };
const messages = [{ role: "user", content: "Who made the heaven?" }];
const logprobs = { return_logprob: true, logprob_start_len: 0, top_logprobs_num: 2, token_ids_logprob: [79] };

const pair = (name: string, path: string, body: Body): RecordedCase => ({
  name,
  method: "POST",
  path,
  body,
  how: "pair",
});
const each = (name: string, path: string, body: Body | string): RecordedCase => ({
  name,
  method: "POST",
  path,
  body,
  how: "each",
});
const get = (path: string, keep?: readonly string[]): RecordedCase => ({
  name: `GET ${path}`,
  method: "GET",
  path,
  how: "each",
  ...(keep === undefined ? {} : { keep }),
});

/** Whole and streamed. */
const both = (name: string, path: string, body: Body): RecordedCase[] => [
  pair(name, path, body),
  pair(`${name}, streamed`, path, { ...body, stream: true }),
];

const SERVER_INFO = ["disaggregation_mode", "disaggregation_bootstrap_port", "dp_size", "tp_size", "version", "status"];
const MODEL_INFO = ["model_path", "is_generation", "disaggregation_mode", "model_type", "architectures"];

export const CASES: readonly RecordedCase[] = [
  ...both("a text", "/generate", { text: TEXT, sampling_params: greedy }),
  ...both("token ids", "/generate", { input_ids: IDS, sampling_params: greedy }),
  ...both("a list of texts", "/generate", { text: [TEXT, "And God said"], sampling_params: greedy }),
  ...both("lists of token ids", "/generate", { input_ids: [IDS, [79, 261]], sampling_params: greedy }),
  ...both("prompt log-probabilities", "/generate", { text: TEXT, sampling_params: greedy, ...logprobs }),
  ...both("prompt log-probabilities of a list", "/generate", {
    text: [TEXT, "And God said"],
    sampling_params: greedy,
    ...logprobs,
  }),
  ...both("one of two samples", "/generate", { text: TEXT, sampling_params: { ...greedy, n: 1 } }),
  ...both("a completion", "/v1/completions", { ...openai, prompt: TEXT }),
  ...both("a completion of a list", "/v1/completions", { ...openai, prompt: [TEXT, "And God said"] }),
  ...both("a completion of token ids", "/v1/completions", { ...openai, prompt: IDS }),
  ...both("a completion of lists of token ids", "/v1/completions", { ...openai, prompt: [IDS, [79, 261]] }),
  ...both("a completion with log-probabilities", "/v1/completions", { ...openai, prompt: TEXT, logprobs: 2 }),
  ...both("a completion, one of two samples", "/v1/completions", { ...openai, prompt: TEXT, n: 1 }),
  pair("a completion with its usage, streamed", "/v1/completions", {
    ...openai,
    prompt: TEXT,
    stream: true,
    stream_options: { include_usage: true },
  }),
  ...both("a chat", "/v1/chat/completions", { ...openai, messages }),
  ...both("a chat with log-probabilities", "/v1/chat/completions", {
    ...openai,
    messages,
    logprobs: true,
    top_logprobs: 2,
  }),
  ...both("a chat, one of two samples", "/v1/chat/completions", { ...openai, messages, n: 1 }),
  pair("a response", "/v1/responses", { model: "kjv", input: "Who made the heaven?", max_output_tokens: 6 }),
  pair("a message", "/v1/messages", { model: "kjv", messages, max_tokens: 6 }),
  pair("a reranking", "/v1/rerank", { query: "heaven", documents: ["earth", "sea"] }),

  ...both("token ids longer than the context", "/generate", {
    input_ids: Array.from({ length: 2_100 }, () => 79),
    sampling_params: greedy,
  }),
  ...both("a chat longer than the context", "/v1/chat/completions", { ...openai, messages, max_tokens: 1_000_000 }),
  ...both("a temperature below 0", "/generate", { text: TEXT, sampling_params: { temperature: -1 } }),
  ...both("top_p of 7", "/v1/chat/completions", { ...openai, messages, top_p: 7 }),
  ...both("no prompt", "/generate", { sampling_params: greedy }),
  ...both("no messages", "/v1/chat/completions", { ...openai }),
  pair("a sampling parameter that is a text", "/generate", { text: TEXT, sampling_params: "hot" }),

  each("no room", "/generate", { text: TEXT, sampling_params: greedy }),
  each("no room, streamed", "/generate", { text: TEXT, sampling_params: greedy, stream: true }),
  each("no room, chat", "/v1/chat/completions", { ...openai, messages }),
  each("no room, chat, streamed", "/v1/chat/completions", { ...openai, messages, stream: true }),
  each("no JSON", "/generate", '{"text":'),
  { ...each("no key", "/generate", { text: TEXT }), keyless: true },
  each("embeddings", "/v1/embeddings", { model: "kjv", input: "x" }),
  each("an unknown path", "/v1/nothing", {}),
  each("nobody to abort", "/abort_request", { rid: "nobody" }),
  each("POST /flush_cache", "/flush_cache", ""),

  { name: "aborted", method: "POST", path: "/generate", body: { text: TEXT, sampling_params: greedy }, how: "aborted" },
  {
    name: "aborted, streamed",
    method: "POST",
    path: "/generate",
    body: { text: TEXT, sampling_params: greedy, stream: true },
    how: "aborted",
  },
  {
    name: "aborted chat",
    method: "POST",
    path: "/v1/chat/completions",
    body: { ...openai, messages },
    how: "aborted",
  },
  {
    name: "prefill's registry unreachable",
    method: "POST",
    path: "/generate",
    body: { text: TEXT, sampling_params: greedy },
    how: "unreachable",
  },
  {
    name: "prefill's registry unreachable, streamed",
    method: "POST",
    path: "/generate",
    body: { text: TEXT, sampling_params: greedy, stream: true },
    how: "unreachable",
  },

  get("/health"),
  get("/health_generate"),
  get("/get_model_info", MODEL_INFO),
  get("/model_info", MODEL_INFO),
  get("/get_server_info", SERVER_INFO),
  get("/v1/models"),
  get("/v1/loads"),
  get("/get_load"),
  get("/v1/nothing"),

  // Last: no prefill is left after it.
  {
    name: "prefill dies",
    method: "POST",
    path: "/generate",
    body: { text: TEXT, sampling_params: greedy },
    how: "orphaned",
  },
  {
    name: "prefill is dead, streamed",
    method: "POST",
    path: "/generate",
    body: { text: TEXT, sampling_params: greedy, stream: true },
    how: "orphaned",
  },
];
