import { expect, test } from "bun:test";
import { Cluster, until } from "./support/cluster.ts";

test("requests above the limit wait, and those above the queue are told when to come again", async () => {
  await using cluster = new Cluster({ maxConcurrentRequests: 2, queueSize: 3 });
  cluster.prefill.script = (request) => request.path === "/generate" && hold;
  let hold = true;
  const all = Array.from({ length: 7 }, () => cluster.post("/generate", { text: "x" }));
  await until(() => cluster.balancer.admission.waiting === 3);
  await until(() => cluster.balancer.admission.shed === 2);
  await until(() => cluster.hub.orphans === 2);
  expect(cluster.balancer.admission.active).toBe(2);
  hold = false;
  // The two that prefill holds are let go by their abort; the rest goes on in turn.
  cluster.balancer.abortAll();
  const responses = await Promise.all(all);
  const statuses = responses.map(({ status }) => status).toSorted();
  expect(statuses).toEqual([200, 200, 200, 429, 429, 500, 500]);
  for (const response of responses.filter(({ status }) => status === 429)) {
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  }
  await until(() => cluster.balancer.admission.active === 0);
});

test("who waits too long is told so", async () => {
  await using cluster = new Cluster({ maxConcurrentRequests: 0, queueTimeoutSecs: 0.05 });
  const response = await cluster.post("/generate", { text: "x" });
  expect([response.status, response.headers.get("x-kvwire-error-code")]).toEqual([429, "queue_timeout"]);
});

test("who leaves the queue takes no place", async () => {
  await using cluster = new Cluster({ maxConcurrentRequests: 0 });
  const leave = new AbortController();
  const gone = cluster.post("/generate", { text: "x" }, { signal: leave.signal }).catch(() => "gone");
  await until(() => cluster.balancer.admission.waiting === 1);
  leave.abort();
  expect(await gone).toBe("gone");
  await until(() => cluster.balancer.admission.waiting === 0);
});

test("one prefill is given no more than its limit, and nobody is refused", async () => {
  await using cluster = new Cluster({ maxPrefillRequests: 2, queueSize: 1000 }, { prefills: 2, decodes: 2 });
  let most = 0;
  for (const worker of cluster.prefills) worker.lag = 1;
  const watch = setInterval(() => {
    for (const worker of cluster.balancer.fleet.of("prefill")) most = Math.max(most, worker.requests);
  }, 1);
  const statuses = await Promise.all(
    Array.from({ length: 120 }, async () => (await cluster.post("/generate", { text: "x" })).status),
  );
  clearInterval(watch);
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(most).toBe(2);
});

test("a stream counts until its end", async () => {
  await using cluster = new Cluster();
  cluster.decode.gap = 30;
  const response = await cluster.post("/generate", { text: "x", stream: true });
  expect(cluster.balancer.admission.active).toBe(1);
  await response.text();
  await until(() => cluster.balancer.admission.active === 0);
});
