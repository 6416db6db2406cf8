import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Engine, type EngineOptions, OptionError } from "../../../engine/index.ts";
import { join } from "node:path";
import { type Answer, readAnswer, startServer, type TestServer, until } from "../serving.ts";
import { modelsDirectory, type Reference, readReferences } from "../references.ts";

/** Both halves in one process: what roles decide, without the ways between processes. */
interface Pair {
  readonly prefill: TestServer;
  readonly decode: TestServer;
}

const reach = { bootstrapHost: "127.0.0.1", bootstrapPort: 0, transferBackend: "shm" };
let room = 0;

async function startPair(options: Partial<EngineOptions>, decodeOptions = options): Promise<Pair> {
  const start = (mode: "prefill" | "decode", own: Partial<EngineOptions>): Promise<TestServer> =>
    startServer("kjv-llama-4m", { disaggregationMode: mode, disaggregation: reach, ...own });
  return { prefill: await start("prefill", options), decode: await start("decode", decodeOptions) };
}

async function closePair({ prefill, decode }: Pair): Promise<void> {
  await Promise.all([prefill.engine.close(), decode.engine.close()]);
}

function meet({ prefill }: Pair, body: object): object {
  const port = prefill.engine.transfer!.bootstrapPort;
  return { ...body, bootstrap_host: "127.0.0.1", bootstrap_port: port, bootstrap_room: ++room };
}

function postBoth(pair: Pair, body: object): Promise<Response[]> {
  const whole = meet(pair, body);
  return Promise.all([pair.prefill.post("/generate", whole), pair.decode.post("/generate", whole)]);
}

async function generate(pair: Pair, body: object): Promise<{ prefill: Answer; decode: Answer }> {
  const [prefill, decode] = await Promise.all((await postBoth(pair, body)).map(readAnswer));
  return { prefill: prefill!, decode: decode! };
}

async function atRest({ prefill, decode }: Pair): Promise<void> {
  for (const { engine } of [prefill, decode]) {
    const held = (): number[] => [
      engine.scheduler.liveCount,
      engine.pool.allocator.used,
      engine.transfer!.manager.figures.rooms,
      engine.transfer!.aux.slots - engine.transfer!.slots.free,
    ];
    await until(() => held().every((count) => count === 0), `${engine.role.mode} to hold nothing`);
  }
}

function asked({ prompt }: Reference, tokens: number, more: object = {}): object {
  return { text: prompt, sampling_params: { temperature: 0, max_new_tokens: tokens, ...more } };
}

describe("a pair of halves", () => {
  let pair: Pair;
  let references: readonly Reference[];
  let reference: Reference;

  beforeAll(async () => {
    references = await readReferences("kjv-llama-4m");
    reference = references[0]!;
    pair = await startPair({ maxTotalTokens: 512, maxRunningRequests: 2 });
  }, 60_000);

  afterAll(() => closePair(pair));

  test("hands the first token over with its log-probability and 128 others", async () => {
    const body = { ...asked(reference, 2), return_logprob: true, top_logprobs_num: 128, logprob_start_len: 0 };
    const { prefill, decode } = await generate(pair, body);
    expect(decode.output_ids).toEqual(reference.greedy_ids.slice(0, 2));
    const firstOf = ({ meta_info: meta }: Answer) => [
      meta.output_token_logprobs![0]!,
      ...meta.output_top_logprobs![0]!,
    ];
    const expected = firstOf(prefill);
    expect(expected).toHaveLength(1 + 128);
    firstOf(decode).forEach(([logprob, token], i) => {
      expect(token).toBe(expected[i]![1]);
      // It travels as a float of 32 bits.
      expect(logprob).toBeCloseTo(expected[i]![0]!, 5);
    });
    await atRest(pair);
  });

  test.each([0, 1])("gives %i tokens when so many are asked for", async (count) => {
    const { decode } = await generate(pair, asked(reference, count));
    expect(decode.output_ids).toEqual(reference.greedy_ids.slice(0, count));
    expect(decode.meta_info.finish_reason).toEqual({ type: "length", length: count });
    await atRest(pair);
  });

  test("ends at once when the first token is one to stop at", async () => {
    const [first] = reference.greedy_ids;
    const { decode } = await generate(pair, asked(reference, 8, { stop_token_ids: [first] }));
    expect(decode.output_ids).toEqual([first!]);
    expect(decode.meta_info.finish_reason).toEqual({ type: "stop", matched: first });
    await atRest(pair);
  });

  test("serves more rooms at once than it has aux slots, places in the batch or pages for", async () => {
    expect(pair.decode.engine.transfer!.aux.slots).toBe(4);
    const jobs = Array.from({ length: 18 }, (_, i) => references[i % references.length]!);
    const answers = await Promise.all(jobs.map((job) => generate(pair, asked(job, 4))));
    answers.forEach(({ decode }, i) => expect(decode.output_ids).toEqual(jobs[i]!.greedy_ids.slice(0, 4)));
    await atRest(pair);
  }, 30_000);

  test("gives each prompt of a list a room of its own", async () => {
    const some = references.slice(0, 3);
    const body = { ...asked(reference, 4), text: some.map(({ prompt }) => prompt) };
    const responses = await postBoth(pair, body);
    const answers = (await responses[1]!.json()) as Answer[];
    room += some.length - 1;
    expect(answers.map(({ output_ids }) => output_ids)).toEqual(some.map(({ greedy_ids }) => greedy_ids.slice(0, 4)));
    await atRest(pair);
  });

  test("is refused by decode alone where decode has too few pages for the answer", async () => {
    const body = meet(pair, { input_ids: [1, 2, 3], sampling_params: { max_new_tokens: 600 } });
    const refused = await pair.decode.post("/generate", body);
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain("needs 603 tokens of KV cache, the pool holds 512");
    await atRest(pair);
  });

  test("counts what was moved, on both sides alike", async () => {
    const { prefill, decode } = await generate(pair, asked(reference, 2));
    const [sent, received] = [prefill, decode].map(({ meta_info }) => meta_info["kv_transfer"] as TransferInfo);
    const { pool, transfer } = pair.decode.engine;
    const aux = transfer!.aux.args.auxItemLens.reduce((sum, bytes) => sum + bytes, 0);
    const bytes = pool.buffers.reduce((sum, { pageBytes }) => sum + pageBytes, 0) + aux;
    expect(sent).toMatchObject({ transport: "shm", pages: 1, bytes });
    expect(received).toMatchObject({ transport: "shm", pages: 1, bytes });
    // Decode waits for the computation, too.
    expect(received!.seconds.waiting!).toBeGreaterThan(sent!.seconds.writing!);
    expect(sent!.seconds.tail!).toBeGreaterThan(0);
  });
});

interface TransferInfo {
  readonly seconds: { readonly writing?: number; readonly tail?: number; readonly waiting?: number };
}

test("a half that shuts down fails the rooms that the other waits for", async () => {
  const pair = await startPair({ maxTotalTokens: 512, disaggregation: { ...reach, leaseMs: 500 } });
  const waiting = pair.decode.post("/generate", meet(pair, { text: "In the beginning" }));
  await until(() => pair.decode.engine.transfer!.manager.figures.pairs === 1, "the pair to be made");
  await pair.prefill.engine.close();
  const failed = await waiting;
  expect(failed.status).toBe(500);
  expect(await failed.text()).toMatch(/Decode transfer failed .*peer/);
  await pair.decode.engine.close();
}, 30_000);

test("halves whose pages differ in size say so", async () => {
  const pair = await startPair({ maxTotalTokens: 512, pageSize: 16 }, { maxTotalTokens: 512, pageSize: 8 });
  const failed = await pair.decode.post("/generate", meet(pair, { text: "In the beginning" }));
  expect(failed.status).toBe(500);
  expect(await failed.text()).toMatch(/LAYOUT_MISMATCH.*page/);
  await closePair(pair);
}, 30_000);

describe("an option that cannot be honoured is refused by its name:", () => {
  const modelPath = join(modelsDirectory, "kjv-llama-4m");
  const create = (options: Partial<EngineOptions>): Promise<unknown> =>
    Engine.create({ modelPath, maxTotalTokens: 64, ...options }).then(
      () => "created",
      (cause: unknown) => cause,
    );

  test("a registry's port that is taken", async () => {
    using taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const disaggregation = { ...reach, bootstrapPort: taken.port };
    const refusal = await create({ disaggregationMode: "prefill", disaggregation });
    expect(refusal).toBeInstanceOf(OptionError);
    expect(String(refusal)).toMatch(new RegExp(`--disaggregation-bootstrap-port: port ${taken.port}`));
  });

  test("a transport that there is not", async () => {
    const disaggregation = { ...reach, transferBackend: "pigeon" };
    const refusal = await create({ disaggregationMode: "decode", disaggregation });
    expect(refusal).toBeInstanceOf(OptionError);
    expect(String(refusal)).toMatch(/--disaggregation-transfer-backend: .*pigeon/);
  });

  test("half a pair without a way to the other", async () => {
    const refusal = await create({ disaggregationMode: "decode" });
    expect(refusal).toBeInstanceOf(OptionError);
    expect(String(refusal)).toMatch(/--disaggregation-mode: decode needs the disaggregation options/);
  });
});
