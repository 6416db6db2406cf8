import { expect, test } from "bun:test";
import { Cluster, until } from "./support/cluster.ts";

const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

test("the client's key reaches the workers where the load balancer has none", async () => {
  await using cluster = new Cluster();
  cluster.prefill.apiKey = cluster.decode.apiKey = "engine";
  expect((await cluster.post("/generate", { text: "x" }, bearer("wrong"))).status).toBe(401);
  expect((await cluster.post("/generate", { text: "x" }, bearer("engine"))).status).toBe(200);
});

test("workers get their own key where the client sends none, on probes and aborts too", async () => {
  await using cluster = new Cluster({
    workerApiKey: "engine",
    healthCheckIntervalSecs: 0.02,
    healthFailureThreshold: 1,
  });
  cluster.prefill.apiKey = cluster.decode.apiKey = "engine";
  await until(() => cluster.balancer.fleet.all().every(({ health }) => health.checks > 1));
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(200);
  expect((await fetch(`${cluster.url}/v1/models`)).status).toBe(200);
  cluster.prefill.script = (request) => request.path === "/generate";
  const leave = new AbortController();
  const gone = cluster.post("/generate", { text: "x" }, { signal: leave.signal }).catch(() => "gone");
  await until(() => cluster.hub.orphans === 1);
  leave.abort();
  await gone;
  await until(() => cluster.hub.orphans === 0, 1000);
  expect(cluster.decode.aborts).toHaveLength(1);
});

test("a key of the load balancer guards every path but the open ones, and stays here", async () => {
  await using cluster = new Cluster({ apiKey: "front", workerApiKey: "engine" });
  cluster.prefill.apiKey = cluster.decode.apiKey = "engine";
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(401);
  expect((await cluster.post("/generate", { text: "x" }, bearer("front"))).status).toBe(200);
  expect((await cluster.post("/v1/messages", { messages: [] }, { headers: { "x-api-key": "front" } })).status).toBe(
    200,
  );
  for (const path of ["/health", "/readiness", "/metrics", "/dashboard"])
    expect((await fetch(cluster.url + path)).status).toBe(200);
  for (const path of ["/v1/models", "/get_loads", "/workers", "/dashboard/events"])
    expect((await fetch(cluster.url + path)).status).toBe(401);
  for (const { headers } of cluster.decode.requests) expect(headers.get("authorization")).not.toContain("front");
});

test("administration needs its own key where one is set", async () => {
  await using cluster = new Cluster({ adminKey: "root" });
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(200);
  expect((await fetch(`${cluster.url}/workers`)).status).toBe(401);
  expect((await cluster.post("/abort_request", { abort_all: true })).status).toBe(401);
  expect((await fetch(`${cluster.url}/workers`, bearer("root"))).status).toBe(200);
});

test("a client's trace and request id go on to both legs and come back", async () => {
  await using cluster = new Cluster();
  const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const response = await cluster.post(
    "/generate",
    { text: "x" },
    { headers: { "x-request-id": "abc", traceparent: trace, cookie: "secret=1" } },
  );
  expect(response.headers.get("x-request-id")).toBe("abc");
  for (const worker of [cluster.prefill, cluster.decode]) {
    const { headers } = worker.requests.at(-1)!;
    expect([headers.get("x-request-id"), headers.get("traceparent"), headers.get("cookie")]).toEqual([
      "abc",
      trace,
      undefined,
    ]);
  }
});
