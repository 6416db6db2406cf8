import { describe, expect, test } from "bun:test";
import { Cluster, until } from "./support/cluster.ts";
import type { MockWorker } from "./support/mock-worker.ts";

type Json = Record<string, unknown>;
const get = (cluster: Cluster, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(cluster.url + path, init);
const json = async (response: Response): Promise<Json> => (await response.json()) as Json;

/** Answers one path on a worker. */
function answer(worker: MockWorker, path: string, status: number, body: unknown): void {
  const before = worker.script;
  worker.script = (request, parsed) => {
    if (request.path.split("?")[0] !== path) return before?.(request, parsed) ?? false;
    request.connection.reply(status, JSON.stringify(body));
    return true;
  };
}

describe("health", () => {
  test("/health and /liveness are 200 even with no workers", async () => {
    await using cluster = new Cluster({ prefill: [], decode: [] });
    for (const path of ["/health", "/liveness"]) expect((await get(cluster, path)).status).toBe(200);
    expect((await get(cluster, "/readiness")).status).toBe(503);
  });

  test("/readiness needs a healthy worker of each role, and is 503 while draining", async () => {
    await using cluster = new Cluster();
    expect((await get(cluster, "/readiness")).status).toBe(200);
    cluster.balancer.draining = true;
    const response = await get(cluster, "/readiness");
    expect([response.status, (await json(response))["status"]]).toEqual([503, "draining"]);
  });

  test("/health_generate asks every worker", async () => {
    await using cluster = new Cluster();
    answer(cluster.prefill, "/health_generate", 200, {});
    answer(cluster.decode, "/health_generate", 503, { why: "warming" });
    expect((await get(cluster, "/health_generate")).status).toBe(503);
    answer(cluster.decode, "/health_generate", 200, {});
    expect((await get(cluster, "/health_generate", { method: "POST" })).status).toBe(200);
  });

  test("probes take a worker out and put it back", async () => {
    await using cluster = new Cluster({
      healthCheckIntervalSecs: 0.02,
      healthFailureThreshold: 2,
      healthSuccessThreshold: 1,
    });
    cluster.decode.healthy = false;
    await until(() => cluster.balancer.fleet.available("decode").length === 0);
    const refused = await cluster.post("/generate", { text: "x" });
    expect([refused.status, refused.headers.get("x-kvwire-error-code")]).toEqual([503, "no_decode_workers_available"]);
    cluster.decode.healthy = true;
    await until(() => cluster.balancer.fleet.available("decode").length === 1);
    expect((await cluster.post("/generate", { text: "x" })).status).toBe(200);
  });

  test("a probe may take longer than the engine's second", async () => {
    await using cluster = new Cluster({ healthCheckIntervalSecs: 0.02, healthFailureThreshold: 1 });
    cluster.prefill.script = (request) => {
      if (request.path !== "/health") return false;
      setTimeout(() => request.connection.reply(200, ""), 1100);
      return true;
    };
    const [worker] = cluster.balancer.fleet.of("prefill");
    await until(() => worker!.health.checks > 0, 3000);
    expect(worker!.health.up).toBe(true);
  });
});

describe("information", () => {
  test("/get_server_info has mini_lb's shape", async () => {
    await using cluster = new Cluster({}, { prefills: 1, decodes: 2 });
    answer(cluster.prefill, "/get_server_info", 200, { role: "p" });
    for (const decode of cluster.decodes)
      answer(decode, "/get_server_info", 200, { internal_states: [{ load: decode.port }] });
    const info = await json(await get(cluster, "/get_server_info"));
    expect(info["prefill"]).toEqual([{ role: "p" }]);
    expect(info["decode"]).toHaveLength(2);
    expect(info["internal_states"]).toEqual(cluster.decodes.map(({ port }) => ({ load: port })));
  });

  test("/get_model_info is the first prefill's; without one 503", async () => {
    await using cluster = new Cluster();
    answer(cluster.prefill, "/get_model_info", 200, { model_path: "m" });
    expect(await json(await get(cluster, "/get_model_info"))).toEqual({ model_path: "m" });
    await using empty = new Cluster({ prefill: [] });
    expect((await get(empty, "/model_info")).status).toBe(503);
  });

  test("/v1/models merges what the workers serve, and keeps a refusal's status", async () => {
    await using cluster = new Cluster();
    answer(cluster.prefill, "/v1/models", 200, { data: [{ id: "a" }, { id: "b" }] });
    answer(cluster.decode, "/v1/models", 200, { data: [{ id: "b" }, { id: "c" }] });
    const models = (await json(await get(cluster, "/v1/models")))["data"] as { id: string }[];
    expect(models.map(({ id }) => id)).toEqual(["a", "b", "c"]);
    answer(cluster.prefill, "/v1/models", 401, { error: "no" });
    answer(cluster.decode, "/v1/models", 401, { error: "no" });
    expect((await get(cluster, "/v1/models")).status).toBe(401);
  });

  test("/get_loads tells load here and at the engine", async () => {
    await using cluster = new Cluster();
    answer(cluster.decode, "/v1/loads", 200, { running: 3 });
    const loads = (await (await get(cluster, "/get_loads")).json()) as Json[];
    expect(loads.find(({ role }) => role === "decode")).toMatchObject({ requests: 0, engine: { running: 3 } });
  });
});

describe("control", () => {
  test("/flush_cache reaches every worker with its timeout", async () => {
    await using cluster = new Cluster();
    answer(cluster.prefill, "/flush_cache", 200, {});
    answer(cluster.decode, "/flush_cache", 200, {});
    expect((await get(cluster, "/flush_cache?timeout=2.5", { method: "POST" })).status).toBe(200);
    for (const worker of [cluster.prefill, cluster.decode]) {
      expect(worker.requests.map(({ path }) => path)).toContain("/flush_cache?timeout=2.5");
    }
  });

  test("/abort_request ends a request by the client's own id", async () => {
    await using cluster = new Cluster();
    cluster.prefill.script = (request) => request.path === "/generate";
    const waiting = cluster.post("/generate", { text: "x", rid: "mine-1" });
    await until(() => cluster.hub.orphans === 1);
    const aborted = await json(await cluster.post("/abort_request", { rid: "mine" }));
    expect(aborted).toEqual({ success: true, aborted: 1 });
    expect((await waiting).status).toBe(500);
    await until(() => cluster.hub.orphans === 0, 1000);
  });

  test("an empty id aborts nobody", async () => {
    await using cluster = new Cluster();
    for (const body of [{ rid: "" }, {}, { rid: [] }])
      expect((await cluster.post("/abort_request", body)).status).toBe(400);
  });

  test.each(["/v1/embeddings", "/v1/classify"])("%s says why it is not served", async (path) => {
    await using cluster = new Cluster();
    expect((await cluster.post(path, {})).status).toBe(501);
  });

  test("an unknown path is a 404 in OpenAI's shape", async () => {
    await using cluster = new Cluster();
    const response = await get(cluster, "/nope");
    expect([response.status, (await json(response))["error"]]).toMatchObject([404, { code: "not_found" }]);
  });
});

describe("every path that goes to a pair", () => {
  test.each(["/generate", "/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/rerank"])(
    "%s",
    async (path) => {
      await using cluster = new Cluster();
      const response = await cluster.post(path, { prompt: "x", messages: [], input: "x", text: "x" });
      expect(response.status).toBe(200);
      expect(cluster.decode.requests.at(-1)!.path).toBe(path);
      expect(cluster.prefill.requests.at(-1)!.path).toBe(path);
    },
  );

  test("n = 3 over chat: three choices in order, usage added up, streamed or not", async () => {
    await using cluster = new Cluster();
    const whole = await json(await cluster.post("/v1/chat/completions", { messages: [], n: 3 }));
    expect((whole["choices"] as Json[]).map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(whole["usage"]).toMatchObject({ prompt_tokens: 11, completion_tokens: 9, total_tokens: 20 });
    const text = await (await cluster.post("/v1/chat/completions", { messages: [], n: 3, stream: true })).text();
    const events = text.split("\n\n").filter((event) => event !== "");
    expect(events.filter((event) => event === "data: [DONE]")).toHaveLength(1);
    expect(events.at(-1)).toBe("data: [DONE]");
    const indexes = events
      .slice(0, -1)
      .map((event) => (JSON.parse(event.slice(6)) as { choices: [{ index: number }] }).choices[0].index);
    expect(indexes.toSorted()).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2]);
  });

  test("two prompts with two samples each come back prompt by prompt", async () => {
    await using cluster = new Cluster();
    const whole = await json(await cluster.post("/v1/completions", { prompt: ["a", "b"], n: 2 }));
    expect((whole["choices"] as Json[]).map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(cluster.hub.seen.decode).toHaveLength(4);
  });
});

describe("what kills or hangs an engine that gets it straight, through the load balancer does not", () => {
  const host = { bootstrap_host: "127.0.0.1" };
  test.each([
    ["room -1", { text: "x", bootstrap_room: -1, ...host }, "prefill"],
    ["a room without a host", { text: "x", bootstrap_room: 5 }, "decode"],
    ["room 0", { text: "x", bootstrap_room: 0, ...host }, "hang"],
    ["n = 2", { text: "x", bootstrap_room: 7, ...host, sampling_params: { n: 2 } }, "hang"],
  ] as const)("%s", async (_name, body, end) => {
    {
      await using cluster = new Cluster();
      const { prefill, decode } = cluster;
      const targets = end === "hang" ? [prefill, decode] : [cluster[end]];
      const text = JSON.stringify(body);
      const lost = targets.map(({ url }) =>
        fetch(`${url}/generate`, { method: "POST", body: text }).catch(() => "lost"),
      );
      if (end === "hang") await until(() => cluster.hub.orphans === 2);
      else expect([await lost[0], cluster[end].crashed !== undefined]).toEqual(["lost", true]);
    }
    await using cluster = new Cluster();
    expect((await cluster.post("/generate", body)).status).toBe(200);
    expect([cluster.prefill.crashed, cluster.decode.crashed]).toEqual([undefined, undefined]);
    expect(cluster.hub.orphans).toBe(0);
  });
});
