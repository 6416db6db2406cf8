import { afterAll, describe, expect, test } from "bun:test";
import { startServer, answerSchema, readAnswer, readEvents, until } from "../serving.ts";

const server = await startServer("kjv-llama-4m", { maxTotalTokens: 1024 });
afterAll(() => server.engine.close());
const greedy = { temperature: 0, max_new_tokens: 4 };

async function generate(body: Record<string, unknown>) {
  return readAnswer(await server.post("/generate", body));
}

describe("POST /generate", () => {
  test("128 tokens unless asked otherwise", async () => {
    const answer = await generate({ text: "In the beginning", sampling_params: { temperature: 0, ignore_eos: true } });
    expect(answer.output_ids.length).toBe(128);
  });

  test("the default number of tokens gives way to the context's end, a demand is refused", async () => {
    const ids = Array.from({ length: 1000 }, () => 260);
    const small = await startServer("kjv-llama-4m", { contextLength: 40 });
    const input_ids = ids.slice(0, 30);
    const fitted = await readAnswer(
      await small.post("/generate", { input_ids, sampling_params: { temperature: 0, ignore_eos: true } }),
    );
    expect(fitted.output_ids.length).toBe(10);
    const refused = await small.post("/generate", { input_ids, sampling_params: { max_new_tokens: 11 } });
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain("Requested token count exceeds the model's maximum context length of 40");
    expect((await small.post("/generate", { input_ids: ids })).status).toBe(400);
    await small.engine.close();
  });

  test("token ids are taken as they are", async () => {
    const byText = await generate({ text: "In the beginning", sampling_params: greedy });
    const input_ids = server.engine.tokenizer.encode("In the beginning");
    const byIds = await generate({ input_ids, sampling_params: greedy });
    expect(byIds.output_ids).toEqual(byText.output_ids);
  });

  test("a list gives a list, with parameters for each or for all", async () => {
    const response = await server.post("/generate", {
      text: ["In the beginning", "Blessed are"],
      sampling_params: [greedy, { ...greedy, max_new_tokens: 2 }],
      rid: ["a", "b"],
      return_logprob: [true, false],
    });
    const answers = answerSchema.array().parse(await response.json());
    expect(answers.map(({ output_ids }) => output_ids.length)).toEqual([4, 2]);
    expect(answers.map(({ meta_info }) => meta_info.id)).toEqual(["a", "b"]);
    expect(answers[0]!.meta_info.output_token_logprobs).toHaveLength(4);
    expect(answers[1]!.meta_info.output_token_logprobs).toBeUndefined();
    const alone = await generate({ text: "In the beginning", sampling_params: greedy });
    expect(answers[0]!.output_ids).toEqual(alone.output_ids);
  });

  test("a streamed list tells which prompt each event belongs to", async () => {
    const response = await server.post("/generate", {
      input_ids: [
        [0, 260],
        [0, 344, 13],
      ],
      sampling_params: greedy,
      stream: true,
    });
    expect(response.headers.get("content-type")).toStartWith("text/event-stream");
    const events = (await readEvents(response)).map((event) => answerSchema.parse(event));
    for (const index of [0, 1]) {
      const own = events.filter((event) => event.index === index);
      expect(own.at(-1)!.output_ids.length).toBe(4);
      expect(own.at(-1)!.meta_info.finish_reason).toEqual({ type: "length", length: 4 });
    }
  });

  test("log-probabilities: from a position, with alternatives, with text", async () => {
    const answer = await generate({
      text: "In the beginning",
      sampling_params: greedy,
      return_logprob: true,
      logprob_start_len: 1,
      top_logprobs_num: 3,
      return_text_in_logprobs: true,
    });
    const { meta_info: meta } = answer;
    expect(meta.input_token_logprobs!.map(([, , text]) => text)).toEqual(["In", " the", " beginning"]);
    expect(meta.input_token_logprobs![0]![0]).toBeNull();
    expect(meta.input_top_logprobs!.map((best) => best?.length)).toEqual([undefined, 3, 3]);
    meta.output_token_logprobs!.forEach((chosen, i) => {
      expect(meta.output_top_logprobs![i]![0]).toEqual(chosen);
      expect(chosen[1]).toBe(answer.output_ids[i]!);
    });
  });

  test("without logprob_start_len nothing is told of the prompt", async () => {
    const answer = await generate({ text: "And", sampling_params: greedy, return_logprob: true });
    expect(answer.meta_info.input_token_logprobs).toEqual([]);
  });

  test("the same sampling_seed gives the same tokens, alone or in company, another one others", async () => {
    const ask = (sampling_seed: number) =>
      generate({ text: "And", sampling_params: { temperature: 1, max_new_tokens: 16, sampling_seed } });
    const first = await ask(5);
    const [again, other] = await Promise.all([ask(5), ask(6)]);
    expect(again.output_ids).toEqual(first.output_ids);
    expect(other.output_ids).not.toEqual(first.output_ids);
  });

  test("a stop string ends the text before it", async () => {
    const full = await generate({ text: "In the beginning", sampling_params: { ...greedy, max_new_tokens: 30 } });
    const stop = full.text.slice(12, 20);
    const cut = await generate({ text: "In the beginning", sampling_params: { ...greedy, max_new_tokens: 30, stop } });
    expect(cut.text).toBe(full.text.slice(0, full.text.indexOf(stop)));
    expect(cut.meta_info.finish_reason).toEqual({ type: "stop", matched: stop });
  });

  for (const [name, body, part] of [
    ["no JSON", "{", "not JSON"],
    ["a list", [1], "expected object"],
    ["no prompt", {}, "text or input_ids"],
    ["text and ids", { text: "a", input_ids: [1] }, "not both"],
    ["empty ids", { input_ids: [] }, "input_ids is empty"],
    ["an empty list of texts", { text: [] }, "text is empty"],
    ["a list with an empty prompt", { input_ids: [[1], []] }, "the prompt is empty"],
    ["an id beyond the vocabulary", { input_ids: [4096] }, "token id 4096 is not in the vocabulary, which has 4096"],
    ["a negative id", { input_ids: [-1] }, "input_ids"],
    ["an id that is no integer", { input_ids: [1.5] }, "input_ids"],
    ["an id of 64 bits", '{"input_ids":[18446744073709551615]}', "input_ids"],
    ["text of another type", { text: 5 }, "text"],
    ["n = 2", { text: "a", sampling_params: { n: 2 } }, "n = 1"],
    ["an unknown parameter", { text: "a", sampling_params: { heat: 1 } }, "heat"],
    ["a negative temperature", { text: "a", sampling_params: { temperature: -1 } }, "sampling_params.temperature"],
    [
      "parameters for another number of prompts",
      { text: ["a", "b"], sampling_params: [{}] },
      "1 entries for 2 prompts",
    ],
    ["one rid twice", { text: ["a", "b"], rid: ["x", "x"] }, "Duplicate request ID"],
    ["a start of -2", { text: "a", return_logprob: true, logprob_start_len: -2 }, "logprob_start_len"],
    ["too many alternatives", { text: "a", return_logprob: true, top_logprobs_num: 500 }, "top_logprobs_num"],
    [
      "more than the context",
      { text: "a", sampling_params: { max_new_tokens: 2048 } },
      "maximum context length of 2048",
    ],
    ["more than the pool", { text: "a", sampling_params: { max_new_tokens: 1500 } }, "the pool holds 1024"],
  ] as const) {
    for (const stream of [false, true]) {
      if (stream && (typeof body === "string" || Array.isArray(body))) continue;
      test(`${name} is refused with 400${stream ? ", streaming too" : ""}`, async () => {
        const response = await server.post("/generate", stream ? { ...(body as object), stream } : body);
        expect(response.status).toBe(400);
        const { error } = (await response.json()) as { error: { message: string } };
        expect(error.message).toContain(part);
      });
    }
  }

  test("after all of them nothing is left behind", async () => {
    await until(() => server.engine.scheduler.liveCount === 0, "no live request");
    expect(server.engine.pool.allocator.used).toBe(0);
  });
});
