import { join } from "node:path";
import type { Hono } from "hono";
import pino from "pino";
import { z } from "zod";
import { Engine, type EngineOptions } from "../../engine/index.ts";
import { createApp } from "../../engine/server/index.ts";
import { type ModelName, modelsDirectory } from "./references.ts";

export interface TestServer {
  readonly engine: Engine;
  readonly app: Hono;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

/** A warmed-up engine and its HTTP interface, asked in process. */
export async function startServer(
  model: ModelName,
  options: Partial<EngineOptions> = {},
  apiKey?: string,
): Promise<TestServer> {
  const engine = await Engine.create({ modelPath: join(modelsDirectory, model), maxTotalTokens: 8192, ...options });
  const app = createApp(engine, {
    apiKey,
    log: pino({ level: "silent" }),
    identity: () => ({ host: "127.0.0.1", port: 1, version: "0", bootstrapPort: 8998 }),
  });
  await engine.warmUp();
  const post = async (path: string, body: unknown, init?: RequestInit) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return app.request(path, { method: "POST", body: text, ...init });
  };
  return { engine, app, post };
}

const triple = z.tuple([z.number().nullable(), z.number(), z.string().nullable()]);

export const answerSchema = z.object({
  text: z.string(),
  output_ids: z.array(z.number()),
  index: z.number().optional(),
  meta_info: z.looseObject({
    id: z.string(),
    finish_reason: z.looseObject({ type: z.string() }).nullable(),
    prompt_tokens: z.number(),
    completion_tokens: z.number(),
    cached_tokens: z.literal(0),
    e2e_latency: z.number().positive(),
    input_token_logprobs: z.array(triple).optional(),
    output_token_logprobs: z.array(triple).optional(),
    input_top_logprobs: z.array(z.array(triple).nullable()).optional(),
    output_top_logprobs: z.array(z.array(triple).nullable()).optional(),
  }),
});

export type Answer = z.infer<typeof answerSchema>;

export async function readAnswer(response: Response): Promise<Answer> {
  if (response.status !== 200) throw new Error(`status ${response.status}: ${await response.text()}`);
  return answerSchema.parse(await response.json());
}

/** The events of a stream, which must end with [DONE]. */
export async function readEvents(response: Response): Promise<unknown[]> {
  const lines = (await response.text()).split("\n\n").filter((line) => line !== "");
  if (lines.at(-1) !== "data: [DONE]") throw new Error(`the stream ends with ${lines.at(-1)}`);
  return lines.slice(0, -1).map((line) => JSON.parse(line.replace(/^data: /, "")));
}

/** Waits until `condition` holds. @throws after `deadline` milliseconds. */
export async function until(condition: () => boolean, what: string, deadline = 5000): Promise<void> {
  const end = performance.now() + deadline;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${deadline} ms: ${what}`);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
