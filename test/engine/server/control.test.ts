import { afterAll, describe, expect, test } from "bun:test";
import { Engine } from "../../../engine/index.ts";
import { createApp, serve } from "../../../engine/server/index.ts";
import { modelsDirectory } from "../references.ts";
import { readAnswer, startServer, until } from "../serving.ts";
import pino from "pino";

const server = await startServer("kjv-llama-4m", { maxTotalTokens: 4096 });
const http = serve(server.app, "127.0.0.1", 0);
afterAll(async () => {
  await server.engine.close();
  await http.close();
});
const long = { text: "In the beginning", sampling_params: { temperature: 0, max_new_tokens: 1900, ignore_eos: true } };
const { scheduler, pool } = server.engine;

describe("health", () => {
  test("is 503 until the engine has warmed up, then 200, and 503 once it closes", async () => {
    const engine = await Engine.create({ modelPath: `${modelsDirectory}/kjv-llama-4m`, maxTotalTokens: 64 });
    const identity = () => ({ host: "", port: 0, version: "0", bootstrapPort: 0 });
    const app = createApp(engine, { identity, log: pino({ level: "silent" }) });
    const status = async (path: string) => (await app.request(path)).status;
    expect([await status("/health"), await status("/health_generate")]).toEqual([503, 503]);
    await engine.warmUp();
    expect([await status("/health"), await status("/health_generate")]).toEqual([200, 200]);
    await engine.close();
    expect(await status("/health")).toBe(503);
  });

  test("is answered while a long prompt is computed", async () => {
    const input_ids = Array.from({ length: 1500 }, () => 260);
    const answer = server.post("/generate", { input_ids, sampling_params: { max_new_tokens: 1 } });
    await until(() => scheduler.running === 1, "the prompt is being computed");
    expect((await fetch(`${http.url}/health`)).status).toBe(200);
    expect(scheduler.running).toBe(1);
    await readAnswer(await answer);
  });
});

describe("POST /abort_request", () => {
  test("ends the requests whose id begins with rid, and no other", async () => {
    const ask = (rid: string, most: number) =>
      server.post("/generate", { ...long, rid, sampling_params: { ...long.sampling_params, max_new_tokens: most } });
    const answers = [ask("job-1", 1900), ask("job-2", 1900), ask("other", 20)];
    await until(() => scheduler.running === 3, "three run");
    expect((await server.post("/abort_request", { rid: "job-" })).status).toBe(200);
    const reasons = await Promise.all(answers.map(async (a) => (await readAnswer(await a)).meta_info.finish_reason));
    expect(reasons.map((reason) => reason!.type)).toEqual(["abort", "abort", "length"]);
    expect(pool.allocator.used).toBe(0);
  });

  test("abort_all ends all; an empty rid ends none and is refused", async () => {
    const answer = server.post("/generate", long);
    await until(() => scheduler.running === 1, "it runs");
    for (const body of [{ rid: "" }, {}, { rid: null }]) {
      expect((await server.post("/abort_request", body)).status).toBe(400);
    }
    expect(scheduler.running).toBe(1);
    await server.post("/abort_request", { abort_all: true });
    expect((await readAnswer(await answer)).meta_info.finish_reason!.type).toBe("abort");
  });
});

describe("a client that goes away", () => {
  for (const stream of [false, true]) {
    test(`has its request ended and its pages freed, ${stream ? "streaming" : "waiting"}`, async () => {
      const leave = new AbortController();
      const request = fetch(`${http.url}/generate`, {
        method: "POST",
        body: JSON.stringify({ ...long, stream }),
        signal: leave.signal,
      });
      await until(() => scheduler.running === 1, "it runs");
      if (stream) await (await request).body!.getReader().read();
      leave.abort();
      await request.catch(() => undefined);
      await until(() => scheduler.liveCount === 0, "the request has ended");
      expect(pool.allocator.used).toBe(0);
    });
  }
});

describe("answers about the server", () => {
  const json = async (path: string): Promise<Record<string, unknown>> => {
    const response = await server.app.request(path);
    expect(response.status).toBe(200);
    return (await response.json()) as Record<string, unknown>;
  };

  test("model info, under both names", async () => {
    const info = await json("/get_model_info");
    expect(info).toMatchObject({ is_generation: true, disaggregation_mode: "null" });
    expect(info["model_path"]).toEndWith("kjv-llama-4m");
    expect(await json("/model_info")).toEqual(info);
  });

  test("server info, under both names", async () => {
    const info = await json("/get_server_info");
    expect(info).toMatchObject({ status: "ready", page_size: 16, max_total_num_tokens: 4096, context_length: 2048 });
    expect(Array.isArray(info["internal_states"])).toBe(true);
    expect(Object.keys(await json("/server_info"))).toEqual(Object.keys(info));
  });

  test("models, loads, cache flush", async () => {
    expect(await json("/v1/models")).toMatchObject({ data: [{ id: "kjv-llama-4m", max_model_len: 2048 }] });
    expect(await json("/v1/loads")).toMatchObject({ num_running_reqs: 0, num_waiting_reqs: 0 });
    expect((await server.post("/flush_cache", "")).status).toBe(200);
  });

  test("metrics count requests and tokens", async () => {
    await readAnswer(await server.post("/generate", { text: "And", sampling_params: { max_new_tokens: 3 } }));
    const text = await (await server.app.request("/metrics")).text();
    expect(text).toMatch(/kvwire_engine_requests_total\{reason="length",model_name="kjv-llama-4m".*\} [1-9]/);
    expect(text).toMatch(/kvwire_engine_generated_tokens_total\{.*\} [1-9]/);
    expect(text).toMatch(/kvwire_engine_kv_pages_used\{.*\} 0/);
  });

  test("an unknown path is 404 in the shape of its family", async () => {
    expect(await (await server.app.request("/nowhere")).json()).toEqual({ error: { message: "no GET /nowhere here" } });
    const openai = await server.app.request("/v1/nowhere");
    expect(openai.status).toBe(404);
    expect(await openai.json()).toMatchObject({ error: { type: "not_found_error" } });
  });
});

test("with an API key all but probes and metrics ask for it", async () => {
  const guarded = await startServer("kjv-llama-4m", { maxTotalTokens: 256 }, "s3cret");
  const status = async (path: string, authorization?: string) =>
    (await guarded.app.request(path, authorization ? { headers: { authorization } } : {})).status;
  expect(await status("/v1/models")).toBe(401);
  expect(await status("/v1/models", "Bearer wrong")).toBe(401);
  expect(await status("/v1/models", "Bearer s3cret")).toBe(200);
  expect(await status("/health")).toBe(200);
  const refused = await guarded.post("/generate", { text: "a" });
  expect(refused.status).toBe(401);
  expect(await refused.json()).toMatchObject({ error: { type: "authentication_error" } });
  await guarded.engine.close();
});
