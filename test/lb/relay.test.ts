import { expect, test } from "bun:test";
import { Cluster, events, until } from "./support/cluster.ts";

const ask = { text: "Let me tell you a lonnng story ", sampling_params: { temperature: 0 } };

test("a request goes to both legs with one room and comes back as decode answered it", async () => {
  await using cluster = new Cluster();
  const response = await cluster.post("/generate", ask);
  expect(response.status).toBe(200);
  expect(((await response.json()) as { text: string }).text).toBe("Hello big world");
  const [prefill] = cluster.prefill.bodies;
  const [decode] = cluster.decode.bodies;
  expect(prefill).toEqual(decode!);
  expect(prefill).toMatchObject({ ...ask, bootstrap_host: "127.0.0.1", bootstrap_port: 8998 });
  expect(response.headers.get("server-timing")).toContain("decode;dur=");
});

test("the client's bytes arrive unchanged but for the members we add", async () => {
  await using cluster = new Cluster();
  const body = '{"text":"x","big":9007199254740993,"one":1.0,"nested":{"future_field":[1e2]} }';
  await (await cluster.post("/generate", body)).text();
  const sent = cluster.decode.requests.find((request) => request.path === "/generate")!.text;
  expect(sent.startsWith(body.slice(0, -1))).toBe(true);
  expect(sent).toEndWith("}");
});

test("members that only a load balancer may set are cut out, however they are spelt", async () => {
  await using cluster = new Cluster();
  const body = '{"bootstrap_room":-1,"text":"x","bootstrap_\\u0068ost":"evil","rid":"mine","bootstrap_port":1}';
  const response = await cluster.post("/generate", body);
  const answer = (await response.json()) as { meta_info: { id: string } };
  const text = cluster.decode.requests.find((request) => request.path === "/generate")!.text;
  expect(text.match(/bootstrap_room/g)?.length).toBe(1);
  expect(text).not.toContain("evil");
  expect(answer.meta_info.id).toBe("mine");
});

test("a stream is passed on as it comes", async () => {
  await using cluster = new Cluster();
  const response = await cluster.post("/generate", { ...ask, stream: true });
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  const list = await events(response);
  expect(list.map((event) => (event === "[DONE]" ? event : (JSON.parse(event) as { text: string }).text))).toEqual([
    "Hello",
    "Hello big",
    "Hello big world",
    "[DONE]",
  ]);
});

test("a list of texts gets a room, host and port for each", async () => {
  await using cluster = new Cluster();
  const response = await cluster.post("/generate", { text: ["a", "b", "c"] });
  expect((await response.json()) as unknown[]).toHaveLength(3);
  const [body] = cluster.prefill.bodies;
  expect(body!["bootstrap_host"]).toEqual(["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
  expect(new Set(body!["bootstrap_room"] as number[]).size).toBe(3);
});

test.each([
  [{ input_ids: [1, 2, 3] }, false],
  [{ input_ids: [[1], [2]] }, true],
  [{ text: "a" }, false],
  [{ text: ["a"] }, true],
])("rooms of %j are a list: %p", async (body, list) => {
  await using cluster = new Cluster();
  expect((await cluster.post("/generate", body)).status).toBe(200);
  expect(Array.isArray(cluster.decode.bodies[0]!["bootstrap_room"])).toBe(list);
});

test("n samples are n pairs and come back in order", async () => {
  await using cluster = new Cluster();
  const response = await cluster.post("/generate", { text: ["a", "b"], sampling_params: { n: 2, sampling_seed: 5 } });
  expect((await response.json()) as unknown[]).toHaveLength(4);
  expect(
    cluster.decode.bodies.map((body) => (body["sampling_params"] as { sampling_seed: number }).sampling_seed),
  ).toEqual([5, 6]);
  const rooms = cluster.hub.seen.decode;
  expect(new Set(rooms).size).toBe(4);
});

test("an engine's error reaches the client as it is, and prefill is released", async () => {
  await using cluster = new Cluster();
  cluster.decode.script = (request) => {
    if (request.path !== "/generate") return false;
    request.connection.reply(422, '{"error":"too long"}', { "retry-after": "7" });
    return true;
  };
  const response = await cluster.post("/generate", ask);
  expect(response.status).toBe(422);
  expect(response.headers.get("retry-after")).toBe("7");
  expect(await response.text()).toBe('{"error":"too long"}');
  await until(() => cluster.hub.orphans === 0, 1000);
});

test("prefill's refusal releases decode at once", async () => {
  await using cluster = new Cluster();
  cluster.prefill.script = (request) => {
    if (request.path !== "/generate") return false;
    request.connection.reply(400, '{"error":{"message":"context too long"}}');
    return true;
  };
  const response = await cluster.post("/generate", ask);
  expect(response.status).toBe(400);
  expect(await response.text()).toContain("context too long");
  await until(() => cluster.hub.orphans === 0, 1000);
});

test("a client that leaves releases both engines", async () => {
  await using cluster = new Cluster();
  cluster.prefill.script = (request) => request.path === "/generate";
  const leave = new AbortController();
  const response = cluster.post("/generate", ask, { signal: leave.signal }).catch((error: Error) => error.name);
  await until(() => cluster.hub.orphans === 1);
  leave.abort();
  expect(await response).toBe("AbortError");
  await until(() => cluster.hub.orphans === 0, 1000);
  await until(() => cluster.balancer.live.size === 0);
  expect(cluster.decode.aborts).toHaveLength(1);
  expect(cluster.prefill.aborts).toEqual(cluster.decode.aborts);
});

test("a stream whose first event is an abort is answered with its true status", async () => {
  await using cluster = new Cluster();
  cluster.decode.script = (request) => {
    if (request.path !== "/generate") return false;
    request.connection.streamHead();
    request.connection.chunk(
      'data: {"text":"","meta_info":{"finish_reason":{"type":"abort","message":"no room","status_code":400,"err_type":null}}}\n\n',
    );
    request.connection.chunk("data: [DONE]\n\n");
    request.connection.streamEnd();
    return true;
  };
  const response = await cluster.post("/generate", { ...ask, stream: true });
  expect(response.status).toBe(400);
  expect(await response.text()).toContain("no room");
});

test("the first token does not wait for prefill's answer", async () => {
  await using cluster = new Cluster();
  cluster.prefill.lag = 3000;
  const response = await cluster.post("/generate", { ...ask, stream: true });
  const reader = response.body!.getReader();
  expect(Buffer.from((await reader.read()).value!).toString()).toStartWith('data: {"text":"Hello"');
  const [attempt] = cluster.balancer.live;
  expect(attempt!.prefillAt).toBe(0);
  await reader.cancel();
});

test("prompt log-probabilities come from prefill, streamed or not", async () => {
  await using cluster = new Cluster();
  const whole = (await (await cluster.post("/generate", { ...ask, return_logprob: true })).json()) as {
    meta_info: { input_token_logprobs: unknown[] };
  };
  expect(whole.meta_info.input_token_logprobs).toHaveLength(2);
  const streamed = await events(await cluster.post("/generate", { ...ask, return_logprob: true, stream: true }));
  expect(streamed.at(-1)).toBe("[DONE]");
  for (const event of streamed.slice(0, -1)) {
    expect((JSON.parse(event) as typeof whole).meta_info.input_token_logprobs).toHaveLength(2);
  }
});
