import { Hono } from "hono";
import { z } from "zod";
import type { Engine, GenerationInput } from "../engine.ts";
import { RequestError } from "../errors.ts";
import type { TokenLogprob } from "../sampling/index.ts";
import type { GeneratedToken, Sequence } from "../scheduler/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { readBootstrap } from "./bootstrap-request.ts";
import { openaiErrorBody, parseBody, toRequestError } from "./errors.ts";
import { abandon, changesOf, finishAll, startGenerations } from "./generation.ts";
import { finish, OutputCursor, usage } from "./openai-answer.ts";
import { openaiCommonFields, outputLogprobs, readSampling } from "./openai-request.ts";
import { eventStream } from "./sse.ts";

const TOP_LOGPROBS_LIMIT = 20;

const textPart = z.object({ type: z.literal("text", "only parts of type text are supported"), text: z.string() });
const message = z.looseObject({
  role: z.string(),
  content: z
    .union([z.string(), z.array(textPart)])
    .nullish()
    .transform((content) => (typeof content === "string" ? content : (content ?? []).map(({ text }) => text).join(""))),
});
const schema = z.looseObject({
  ...openaiCommonFields,
  messages: z.array(message).min(1),
  max_completion_tokens: z.number().int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(TOP_LOGPROBS_LIMIT).nullish(),
  tools: z.array(z.unknown()).max(0, "tools are not supported").nullish(),
  response_format: z.looseObject({ type: z.literal("text", "only text is supported") }).nullish(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
  add_generation_prompt: z.boolean().nullish(),
});

type ChatRequest = z.infer<typeof schema>;

/** `POST /v1/chat/completions`. */
export function chatCompletionRoutes(engine: Engine): Hono {
  const app = new Hono();
  app.post("/v1/chat/completions", async (c) => {
    const body = await parseBody(c, schema);
    const [sequence] = startGenerations(c, engine, [readInput(engine, body)]);
    const writer = new ChatWriter(engine, body, sequence!);
    if (body.stream) {
      return eventStream(
        writer.events(),
        (cause) => openaiErrorBody(500, toRequestError(cause).message),
        () => abandon(engine, [sequence!]),
      );
    }
    await finishAll(engine, [sequence!]);
    return c.json(writer.answer());
  });
  return app;
}

function readInput(engine: Engine, body: ChatRequest): GenerationInput {
  if (engine.chatTemplate === undefined) {
    throw RequestError.invalid(
      `${engine.modelName} has no chat template; the server takes one with --chat-template FILE`,
    );
  }
  const variables = {
    ...body.chat_template_kwargs,
    ...(typeof body.add_generation_prompt === "boolean" ? { add_generation_prompt: body.add_generation_prompt } : {}),
  };
  const prompt = engine.tokenizer.encode(engine.chatTemplate.render(body.messages, variables));
  const asked = body.max_completion_tokens ?? body.max_tokens ?? undefined;
  const sampling = readSampling(body, asked);
  return {
    id: body.rid ?? undefined,
    prompt,
    // Chat answers end by themselves: without a limit, the context is the limit.
    sampling: asked === undefined ? { ...sampling, maxNewTokens: engine.contextLength } : sampling,
    logprobs: body.logprobs ? outputLogprobs(body.top_logprobs ?? 0) : undefined,
    bootstrap: readBootstrap(body, 0, 1),
  };
}

/** Writes one sequence as an assistant's message. */
class ChatWriter {
  readonly #tokenizer: Tokenizer;
  readonly #sequence: Sequence;
  readonly #withUsage: boolean;
  readonly #head: Readonly<Record<string, unknown>>;

  constructor(engine: Engine, body: ChatRequest, sequence: Sequence) {
    this.#tokenizer = engine.tokenizer;
    this.#sequence = sequence;
    this.#withUsage = body.stream_options?.include_usage ?? false;
    this.#head = {
      id: sequence.request.id,
      created: Math.floor(Date.now() / 1000),
      model: body.model ?? engine.modelName,
    };
  }

  answer(): Record<string, unknown> {
    const { text, tokens } = this.#sequence.output;
    const message = { role: "assistant", content: text };
    const choice = { index: 0, message, logprobs: this.#logprobs(tokens), ...finish(this.#sequence) };
    return { ...this.#head, object: "chat.completion", choices: [choice], usage: usage([this.#sequence]) };
  }

  async *events(): AsyncGenerator<Record<string, unknown>> {
    const head = { ...this.#head, object: "chat.completion.chunk" };
    const cursor = new OutputCursor(this.#sequence);
    let first = true;
    for await (const _ of changesOf([this.#sequence])) {
      const { text, tokens } = cursor.take();
      const delta = first ? { role: "assistant", content: text } : { content: text };
      first = false;
      yield { ...head, choices: [{ index: 0, delta, logprobs: this.#logprobs(tokens), ...finish(this.#sequence) }] };
    }
    if (this.#withUsage) yield { ...head, choices: [], usage: usage([this.#sequence]) };
  }

  #logprobs(tokens: readonly GeneratedToken[]): Record<string, unknown> | null {
    if (this.#sequence.request.logprobs === undefined) return null;
    const content = tokens.map(({ token, logprob, best }) => ({
      ...this.#describe({ token, logprob: logprob! }),
      top_logprobs: (best ?? []).map((alternative) => this.#describe(alternative)),
    }));
    return { content };
  }

  #describe({ token, logprob }: TokenLogprob): Record<string, unknown> {
    const text = this.#tokenizer.decode([token], false);
    return { token: text, bytes: [...new TextEncoder().encode(text)], logprob };
  }
}
