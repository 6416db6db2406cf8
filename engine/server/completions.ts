import { Hono } from "hono";
import { z } from "zod";
import type { Engine, GenerationInput } from "../engine.ts";
import { RequestError } from "../errors.ts";
import type { GeneratedToken, Sequence } from "../scheduler/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { readBootstrap } from "./bootstrap-request.ts";
import { openaiErrorBody, parseBody, toRequestError } from "./errors.ts";
import { abandon, changesOf, finishAll, startGenerations } from "./generation.ts";
import { finish, OutputCursor, usage } from "./openai-answer.ts";
import { openaiCommonFields, outputLogprobs, readSampling } from "./openai-request.ts";
import { eventStream } from "./sse.ts";

const DEFAULT_MAX_TOKENS = 16;
const LOGPROBS_LIMIT = 20;

const ids = z.array(z.number().int().nonnegative());
const schema = z.looseObject({
  ...openaiCommonFields,
  rid: z.union([z.string(), z.array(z.string())]).nullish(),
  prompt: z.union([z.string(), z.array(z.string()).min(1), ids.min(1), z.array(ids).min(1)]),
  logprobs: z.number().int().min(0).max(LOGPROBS_LIMIT).nullish(),
  echo: z.boolean().nullish(),
  best_of: z.literal(1, "only best_of = 1 is supported").nullish(),
  suffix: z.null("is not supported").optional(),
});

type CompletionRequest = z.infer<typeof schema>;

/** `POST /v1/completions`. */
export function completionRoutes(engine: Engine): Hono {
  const app = new Hono();
  app.post("/v1/completions", async (c) => {
    const body = await parseBody(c, schema);
    const sequences = startGenerations(c, engine, readInputs(body));
    const writer = new CompletionWriter(engine, body, sequences);
    if (body.stream) {
      return eventStream(
        writer.events(),
        (cause) => openaiErrorBody(500, toRequestError(cause).message),
        () => abandon(engine, sequences),
      );
    }
    await finishAll(engine, sequences);
    return c.json(writer.answer());
  });
  return app;
}

function readInputs(body: CompletionRequest): GenerationInput[] {
  if (body.echo && typeof body.logprobs === "number") {
    throw RequestError.invalid("echo: not together with logprobs; /generate has logprob_start_len for that");
  }
  const sampling = readSampling(body, body.max_tokens ?? DEFAULT_MAX_TOKENS);
  const logprobs = typeof body.logprobs === "number" ? outputLogprobs(body.logprobs) : undefined;
  return listPrompts(body.prompt).map((prompt, index, all) => ({
    id: requestId(body.rid, index, all.length),
    prompt,
    sampling,
    logprobs,
    bootstrap: readBootstrap(body, index, all.length),
  }));
}

/** One id stands for all prompts, with their number behind it where there are several; a list has one for each. */
function requestId(rid: CompletionRequest["rid"], index: number, count: number): string | undefined {
  if (!rid) return undefined;
  if (typeof rid === "string") return count > 1 ? `${rid}_${index}` : rid;
  if (rid.length !== count) throw RequestError.invalid(`rid: ${rid.length} entries for ${count} prompts`);
  return rid[index];
}

function listPrompts(prompt: CompletionRequest["prompt"]): readonly (string | readonly number[])[] {
  if (typeof prompt === "string") return [prompt];
  const [first] = prompt;
  return typeof first === "number" ? [prompt as number[]] : (prompt as (string | number[])[]);
}

/** Writes the sequences of one request as choices. */
class CompletionWriter {
  readonly #tokenizer: Tokenizer;
  readonly #body: CompletionRequest;
  readonly #sequences: readonly Sequence[];
  readonly #head: Readonly<Record<string, unknown>>;

  constructor(engine: Engine, body: CompletionRequest, sequences: readonly Sequence[]) {
    this.#tokenizer = engine.tokenizer;
    this.#body = body;
    this.#sequences = sequences;
    this.#head = {
      id: sequences[0]!.request.id,
      object: "text_completion",
      created: Math.floor(Date.now() / 1000),
      model: body.model ?? engine.modelName,
    };
  }

  answer(): Record<string, unknown> {
    const choices = this.#sequences.map((sequence, index) => this.#choice(index, new OutputCursor(sequence), true));
    return { ...this.#head, choices, usage: usage(this.#sequences) };
  }

  async *events(): AsyncGenerator<Record<string, unknown>> {
    const cursors = this.#sequences.map((sequence) => new OutputCursor(sequence));
    const begun = new Set<number>();
    for await (const index of changesOf(this.#sequences)) {
      yield { ...this.#head, choices: [this.#choice(index, cursors[index]!, !begun.has(index))] };
      begun.add(index);
    }
    if (this.#body.stream_options?.include_usage) yield { ...this.#head, choices: [], usage: usage(this.#sequences) };
  }

  #choice(index: number, cursor: OutputCursor, first: boolean): Record<string, unknown> {
    const { text, textOffset, tokens } = cursor.take();
    const { request } = cursor.sequence;
    const echo = first && this.#body.echo ? this.#tokenizer.decode([...request.prompt], true) : "";
    const logprobs = request.logprobs === undefined ? null : this.#logprobs(tokens, textOffset);
    return { index, text: echo + text, logprobs, ...finish(cursor.sequence) };
  }

  #logprobs(tokens: readonly GeneratedToken[], textOffset: number): Record<string, unknown> {
    const texts = tokens.map(({ token }) => this.#text(token));
    let offset = textOffset;
    return {
      tokens: texts,
      token_logprobs: tokens.map(({ logprob }) => logprob ?? null),
      top_logprobs: tokens.map(({ best }) =>
        Object.fromEntries((best ?? []).map(({ token, logprob }) => [this.#text(token), logprob])),
      ),
      text_offset: texts.map((text) => {
        const at = offset;
        offset += text.length;
        return at;
      }),
    };
  }

  #text(token: number): string {
    return this.#tokenizer.decode([token], false);
  }
}
