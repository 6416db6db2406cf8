import { Hono } from "hono";
import type { Engine } from "../engine.ts";
import type { Sequence } from "../scheduler/index.ts";
import { nativeErrorBody, parseBody, toRequestError } from "./errors.ts";
import { generateAnswer } from "./generate-answer.ts";
import { generateRequestSchema, readGenerateRequest } from "./generate-request.ts";
import { abandon, changesOf, finishAll, startGenerations } from "./generation.ts";
import { eventStream } from "./sse.ts";

/** `POST /generate`: SGLang's native endpoint. */
export function generateRoutes(engine: Engine): Hono {
  const app = new Hono();
  app.on(["POST", "PUT"], "/generate", async (c) => {
    const body = await parseBody(c, generateRequestSchema);
    const { inputs, list } = readGenerateRequest(body);
    const sequences = startGenerations(c, engine, inputs);
    const answer = (sequence: Sequence) =>
      generateAnswer(sequence, engine.tokenizer, body.return_text_in_logprobs ?? false);
    if (body.stream) {
      return eventStream(
        generateEvents(sequences, list, answer),
        (cause) => nativeErrorBody(toRequestError(cause)),
        () => abandon(engine, sequences),
      );
    }
    await finishAll(engine, sequences);
    const answers = sequences.map(answer);
    return c.json(list ? answers : answers[0]!);
  });
  return app;
}

/** Cumulative events: each repeats what came before. Those of a list tell which prompt they belong to. */
async function* generateEvents(
  sequences: readonly Sequence[],
  list: boolean,
  answer: (sequence: Sequence) => Record<string, unknown>,
): AsyncGenerator<Record<string, unknown>> {
  for await (const index of changesOf(sequences)) {
    yield list ? { ...answer(sequences[index]!), index } : answer(sequences[index]!);
  }
}
