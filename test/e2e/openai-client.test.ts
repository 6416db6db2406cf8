import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { APIUserAbortError, AuthenticationError, BadRequestError, OpenAI } from "openai";
import { modelsDirectory, readReferences, type Reference } from "../engine/references.ts";
import { until } from "../lib/process/peer.ts";
import { BalancerProcess } from "./support/balancer-process.ts";
import { EngineProcess } from "./support/engine-process.ts";

const MODEL = "kjv-llama-4m";
const KEY = "a-client's-key";

let prefill: EngineProcess;
let decode: EngineProcess;
let balancer: BalancerProcess;
let client: OpenAI;
let reference: Reference;
/** The chat template ends a prompt with a space of its own. */
let messages: { role: "user"; content: string }[];

beforeAll(async () => {
  const options = ["--chat-template", join(modelsDirectory, "chat.jinja"), "--max-total-tokens", "8192"];
  [prefill, decode] = await Promise.all([
    EngineProcess.start({ mode: "prefill", options }),
    EngineProcess.start({ mode: "decode", options }),
  ]);
  balancer = await BalancerProcess.start([prefill], [decode], ["--api-key", KEY]);
  client = clientWith(KEY);
  [reference] = (await readReferences(MODEL)) as [Reference];
  messages = [{ role: "user", content: reference.prompt.trimEnd() }];
}, 60_000);

afterAll(async () => {
  await Promise.all([balancer, prefill, decode].map((server) => server?.[Symbol.asyncDispose]()));
});

const clientWith = (apiKey: string): OpenAI =>
  new OpenAI({ apiKey, baseURL: `${balancer.url}/v1`, maxRetries: 0, timeout: 20_000 });

const greedy = { model: MODEL, temperature: 0, max_tokens: 96 };

test("the model is listed", async () => {
  const ids: string[] = [];
  for await (const { id } of client.models.list()) ids.push(id);
  expect(ids).toEqual([MODEL]);
});

test("completions: the reference's text, whole and streamed", async () => {
  const whole = await client.completions.create({ ...greedy, prompt: reference.prompt });
  expect(whole.choices).toMatchObject([{ index: 0, text: reference.text, finish_reason: "length" }]);
  expect(whole.usage).toMatchObject({ prompt_tokens: 14, completion_tokens: 96, total_tokens: 110 });

  const stream = await client.completions.create({
    ...greedy,
    prompt: reference.prompt,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let tokens: number | undefined;
  for await (const { choices, usage } of stream) {
    text += choices[0]?.text ?? "";
    tokens = usage?.completion_tokens ?? tokens;
  }
  expect([text, tokens]).toEqual([reference.text, 96]);
});

test("prompts as a list, of texts and of token ids, come back in order", async () => {
  for (const prompt of [
    [reference.prompt, "And God said"],
    [reference.input_ids, reference.input_ids],
  ]) {
    const { choices } = await client.completions.create({ ...greedy, prompt: prompt as string[] });
    expect(choices.map(({ index }) => index)).toEqual([0, 1]);
    expect(choices[0]!.text).toBe(reference.text);
  }
});

test("chat: an assistant's message, whole and streamed", async () => {
  const whole = await client.chat.completions.create({ ...greedy, messages });
  expect(whole.choices[0]!.message).toMatchObject({ role: "assistant", content: reference.text });
  const stream = client.chat.completions.stream({ ...greedy, messages });
  const deltas: string[] = [];
  stream.on("content", (delta) => deltas.push(delta));
  expect((await stream.finalChatCompletion()).choices[0]!.message.content).toBe(reference.text);
  expect(deltas.length).toBeGreaterThan(10);
});

test("n = 3: three choices, whole and streamed, in completions and chat", async () => {
  const three = { ...greedy, n: 3 };
  const completion = await client.completions.create({ ...three, prompt: reference.prompt });
  const chat = await client.chat.completions.create({ ...three, messages });
  expect(completion.choices.map(({ text }) => text)).toEqual(Array(3).fill(reference.text));
  expect(chat.choices.map(({ message }) => message.content)).toEqual(Array(3).fill(reference.text));
  for (const { choices, usage } of [completion, chat]) {
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(usage).toMatchObject({ completion_tokens: 288 });
  }
  const stream = client.chat.completions.stream({ ...three, messages });
  const { choices } = await stream.finalChatCompletion();
  expect(choices.map(({ index, message }) => [index, message.content])).toEqual(
    [0, 1, 2].map((index) => [index, reference.text]),
  );
});

test("samples with a seed differ from each other and can be had again", async () => {
  const ask = async () => {
    const sampled = { model: MODEL, max_tokens: 12, temperature: 1, seed: 7, n: 3 };
    const { choices } = await client.completions.create({ ...sampled, prompt: reference.prompt });
    return choices.map(({ text }) => text);
  };
  const first = await ask();
  expect(new Set(first).size).toBe(3);
  expect(await ask()).toEqual(first);
});

test("log-probabilities of the output are the reference's", async () => {
  const expected = (found: readonly (number | null)[]) => {
    expect(found).toHaveLength(96);
    found.forEach((logprob, i) => expect(Math.abs(logprob! - reference.greedy_logprobs[i]!)).toBeLessThan(2e-3));
  };
  const completion = await client.completions.create({ ...greedy, prompt: reference.prompt, logprobs: 2 });
  expected(completion.choices[0]!.logprobs!.token_logprobs!);
  const chat = await client.chat.completions.create({ ...greedy, messages, logprobs: true, top_logprobs: 2 });
  const content = chat.choices[0]!.logprobs!.content!;
  expected(content.map(({ logprob }) => logprob));
  for (const { logprob, top_logprobs: top } of content) {
    expect(top).toHaveLength(2);
    expect(top[0]!.logprob).toBeCloseTo(logprob, 5);
  }
});

test("a client that aborts, in mid-stream or before any answer, leaves nothing at the engines", async () => {
  const long = { ...greedy, max_tokens: 2000, messages };
  const stream = await client.chat.completions.create({ ...long, stream: true });
  for await (const _ of stream) break;
  await Promise.all([prefill.atRest(), decode.atRest()]);
  const leave = new AbortController();
  const waiting = client.chat.completions.create(long, { signal: leave.signal });
  const refused = waiting.then(
    () => "answered",
    (error: Error) => error,
  );
  await until(
    "the request to be at decode",
    () => decode.gauge("live_requests"),
    (count) => count > 0,
  );
  leave.abort();
  expect(await refused).toBeInstanceOf(APIUserAbortError);
  await Promise.all([prefill.atRest(), decode.atRest()]);
});

test("a wrong key, and a wrong body, are the errors that the client has for them", async () => {
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error: unknown) => error,
    );
  const wrongKey = await failure(clientWith("wrong").chat.completions.create({ ...greedy, messages }));
  expect(wrongKey).toBeInstanceOf(AuthenticationError);
  const wrongBody = await failure(client.chat.completions.create({ ...greedy, messages, top_p: 7 }));
  expect(wrongBody).toBeInstanceOf(BadRequestError);
  expect((wrongBody as Error).message).toContain("top_p");
  const wrongKind = await failure(client.embeddings.create({ model: MODEL, input: "x" }));
  expect(wrongKind).toMatchObject({ status: 501 });
});

test("the README's curl lines are answered, with the type of content that curl gives them", async () => {
  const readme = await Bun.file(join(import.meta.dir, "../../README.md")).text();
  const lines = [...readme.matchAll(/^ +curl (?:-N )?http:\/\/127\.0\.0\.1:8000(\S+) -d '(.*)'$/gm)];
  expect(lines.length).toBeGreaterThan(1);
  for (const [, path, body] of lines) {
    const headers = { "content-type": "application/x-www-form-urlencoded", authorization: `Bearer ${KEY}` };
    const response = await fetch(balancer.url + path!, { method: "POST", headers, body: body! });
    expect([path, response.status]).toEqual([path, 200]);
    expect(await response.text()).toMatch(/"text": ?"/);
  }
});
