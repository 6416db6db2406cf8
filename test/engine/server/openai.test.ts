import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import { modelsDirectory, readReferences } from "../references.ts";
import { readEvents, startServer } from "../serving.ts";

const chatTemplate = join(modelsDirectory, "chat.jinja");
const server = await startServer("kjv-llama-4m", { chatTemplate, servedModelName: "kjv" });
const bare = await startServer("kjv-llama-4m", { maxTotalTokens: 256 });
afterAll(() => Promise.all([server.engine.close(), bare.engine.close()]));

const [reference] = await readReferences("kjv-llama-4m");
/** The chat template ends a prompt with a space of its own. */
const messages = [{ role: "user", content: reference!.prompt.trimEnd() }];
const usage = z.object({ prompt_tokens: z.number(), completion_tokens: z.number(), total_tokens: z.number() });
const choice = z.looseObject({ index: z.number(), finish_reason: z.string().nullable() });
const completion = z.looseObject({
  id: z.string(),
  object: z.literal("text_completion"),
  model: z.string(),
  choices: z.array(choice.extend({ text: z.string() })),
  usage: usage.optional(),
});
const chat = z.looseObject({
  object: z.literal("chat.completion"),
  choices: z.array(choice.extend({ message: z.object({ role: z.literal("assistant"), content: z.string() }) })),
  usage,
});
const chunk = z.looseObject({
  object: z.literal("chat.completion.chunk"),
  choices: z.array(choice.extend({ delta: z.looseObject({ role: z.string().optional(), content: z.string() }) })),
  usage: usage.optional(),
});

describe("POST /v1/completions", () => {
  test("answers with text and usage", async () => {
    const response = await server.post("/v1/completions", {
      prompt: reference!.prompt,
      temperature: 0,
      max_tokens: 96,
    });
    const answer = completion.parse(await response.json());
    expect(answer.model).toBe("kjv");
    expect(answer.choices).toMatchObject([{ index: 0, text: reference!.text, finish_reason: "length" }]);
    expect(answer.usage).toMatchObject({ prompt_tokens: 14, completion_tokens: 96, total_tokens: 110 });
  });

  test("16 tokens unless asked otherwise; stop strings; echo", async () => {
    const ask = async (body: object) =>
      completion.parse(await (await server.post("/v1/completions", { temperature: 0, ...body })).json());
    const plain = await ask({ prompt: "In the beginning" });
    expect(plain.usage!.completion_tokens).toBe(16);
    const stopped = await ask({ prompt: "In the beginning", stop: ["year"] });
    expect(stopped.choices).toMatchObject([{ text: " of the ", finish_reason: "stop", matched_stop: "year" }]);
    const echoed = await ask({ prompt: "In the beginning", echo: true });
    expect(echoed.choices[0]!.text).toBe(`In the beginning${plain.choices[0]!.text}`);
  });

  test("prompts as lists, of texts or of token ids", async () => {
    for (const prompt of [
      ["In the beginning", "And"],
      [
        [0, 260],
        [0, 344],
      ],
    ]) {
      const response = await server.post("/v1/completions", { prompt, temperature: 0, max_tokens: 3 });
      const answer = completion.parse(await response.json());
      expect(answer.choices.map(({ index }) => index)).toEqual([0, 1]);
      expect(answer.usage!.completion_tokens).toBe(6);
    }
    const ids = await server.post("/v1/completions", { prompt: reference!.input_ids, temperature: 0, max_tokens: 4 });
    expect(reference!.text).toStartWith(completion.parse(await ids.json()).choices[0]!.text);
  });

  test("streams pieces that add up, usage last when asked for", async () => {
    const body = { prompt: reference!.prompt, temperature: 0, max_tokens: 20, stream: true };
    const response = await server.post("/v1/completions", { ...body, stream_options: { include_usage: true } });
    const events = (await readEvents(response)).map((event) => completion.parse(event));
    const pieces = events.flatMap(({ choices }) => choices);
    expect(reference!.text).toStartWith(pieces.map(({ text }) => text).join(""));
    expect(pieces.at(-1)!.finish_reason).toBe("length");
    expect(events.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 20 } });
    const without = (await readEvents(await server.post("/v1/completions", body))).map((e) => completion.parse(e));
    expect(without.every((event) => event.usage === undefined)).toBe(true);
  });

  test("logprobs name tokens, alternatives and offsets", async () => {
    const body = { prompt: reference!.prompt, temperature: 0, max_tokens: 3, logprobs: 2 };
    const answer = completion.parse(await (await server.post("/v1/completions", body)).json());
    const { logprobs } = answer.choices[0] as unknown as {
      logprobs: { tokens: string[]; token_logprobs: number[]; top_logprobs: object[]; text_offset: number[] };
    };
    expect(logprobs.tokens.join("")).toBe(answer.choices[0]!.text);
    logprobs.token_logprobs.forEach((value, i) => expect(value).toBeCloseTo(reference!.greedy_logprobs[i]!, 2));
    expect(logprobs.top_logprobs.map((best) => Object.keys(best).length)).toEqual([2, 2, 2]);
    expect(logprobs.text_offset).toEqual([0, logprobs.tokens[0]!.length, logprobs.tokens.slice(0, 2).join("").length]);
  });
});

describe("POST /v1/chat/completions", () => {
  test("renders the template and answers as the assistant", async () => {
    const response = await server.post("/v1/chat/completions", { messages, temperature: 0, max_completion_tokens: 96 });
    const answer = chat.parse(await response.json());
    expect(answer.choices[0]!.message.content).toBe(reference!.text);
    expect(answer.usage.prompt_tokens).toBe(14);
  });

  test("content may come in parts of text", async () => {
    const content = [
      { type: "text", text: "Let me tell you a " },
      { type: "text", text: "lonnng story" },
    ];
    const body = { messages: [{ role: "user", content }], temperature: 0, max_tokens: 5 };
    const answer = chat.parse(await (await server.post("/v1/chat/completions", body)).json());
    expect(reference!.text).toStartWith(answer.choices[0]!.message.content);
  });

  test("streams deltas, the role first", async () => {
    const body = { messages, temperature: 0, max_tokens: 12, stream: true, stream_options: { include_usage: true } };
    const events = (await readEvents(await server.post("/v1/chat/completions", body))).map((e) => chunk.parse(e));
    const deltas = events.flatMap(({ choices }) => choices.map(({ delta }) => delta));
    expect(deltas.map(({ role }) => role)).toEqual(["assistant", ...deltas.slice(1).map(() => undefined)]);
    expect(reference!.text).toStartWith(deltas.map(({ content }) => content).join(""));
    expect(events.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 12 } });
  });

  test("logprobs describe each token", async () => {
    const body = { messages, temperature: 0, max_tokens: 2, logprobs: true, top_logprobs: 2 };
    const answer = chat.parse(await (await server.post("/v1/chat/completions", body)).json());
    const { logprobs } = answer.choices[0] as unknown as {
      logprobs: { content: { token: string; logprob: number; top_logprobs: { token: string }[] }[] };
    };
    expect(logprobs.content.map(({ token }) => token).join("")).toBe(answer.choices[0]!.message.content);
    expect(logprobs.content[0]!.logprob).toBeCloseTo(reference!.greedy_logprobs[0]!, 2);
    expect(logprobs.content[0]!.top_logprobs.map(({ token }) => token)).toContain(logprobs.content[0]!.token);
  });

  test("without a template it is refused, saying how to give one", async () => {
    const response = await bare.post("/v1/chat/completions", { messages });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("--chat-template");
  });
});

for (const [path, name, body, part] of [
  ["completions", "no prompt", {}, "prompt"],
  ["completions", "an empty list", { prompt: [] }, "prompt"],
  ["completions", "n = 2", { prompt: "a", n: 2 }, "n = 1"],
  ["completions", "best_of 3", { prompt: "a", best_of: 3 }, "best_of"],
  ["completions", "max_tokens 0", { prompt: "a", max_tokens: 0 }, "max_tokens"],
  ["completions", "echo with logprobs", { prompt: "a", echo: true, logprobs: 1 }, "echo"],
  ["completions", "a bias", { prompt: "a", logit_bias: { 5: 1 } }, "logit_bias"],
  ["chat/completions", "no messages", { messages: [] }, "messages"],
  ["chat/completions", "an image", { messages: [{ role: "user", content: [{ type: "image_url" }] }] }, "type text"],
  ["chat/completions", "a tool", { messages, tools: [{}] }, "tools are not supported"],
  ["chat/completions", "JSON mode", { messages, response_format: { type: "json_object" } }, "only text"],
  ["chat/completions", "a presence penalty", { messages, presence_penalty: 1 }, "presence_penalty"],
] as const) {
  test(`POST /v1/${path} with ${name} is refused in OpenAI's shape`, async () => {
    const response = await server.post(`/v1/${path}`, body);
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: { message: string; type: string; code: number } };
    expect(error).toMatchObject({ type: "invalid_request_error", code: 400 });
    expect(error.message).toContain(part);
  });
}
