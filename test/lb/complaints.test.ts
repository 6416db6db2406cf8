/** What users of the other load balancers complain of, complaint by complaint. @module */
import { describe, expect, test } from "bun:test";
import { Cluster, events, until } from "./support/cluster.ts";
import type { MockRequest } from "./support/mock-connection.ts";
import { MockWorker } from "./support/mock-worker.ts";

const onGenerate = (act: (request: MockRequest) => void) => (request: MockRequest) => {
  if (request.path !== "/generate") return false;
  act(request);
  return true;
};
const statusesOf = async (cluster: Cluster, count: number, body: object = { text: "x" }): Promise<number[]> =>
  Promise.all(
    Array.from({ length: count }, async () => {
      const response = await cluster.post("/generate", body);
      await response.arrayBuffer();
      return response.status;
    }),
  );
const breakers = (cluster: Cluster): string[] => cluster.balancer.fleet.all().map(({ breaker }) => breaker.state);

test("C1 n > 1 hangs: each sample has a pair and a room of its own", async () => {
  await using cluster = new Cluster();
  const response = await cluster.post("/generate", { text: "x", sampling_params: { n: 4 } });
  expect((await response.json()) as unknown[]).toHaveLength(4);
  expect(new Set(cluster.hub.seen.decode).size).toBe(4);
});

test("C2 hang when prefill fails: of 1,024 requests the one that prefill refuses ends too, and holds no decode slot", async () => {
  await using cluster = new Cluster();
  cluster.prefill.script = (request, body) => {
    if (body["text"] !== "too long") return false;
    request.connection.reply(400, '{"error":{"message":"longer than the context"}}');
    return true;
  };
  const [statuses, refused] = await Promise.all([
    statusesOf(cluster, 1023),
    cluster.post("/generate", { text: "too long" }),
  ]);
  expect([new Set(statuses), refused.status]).toEqual([new Set([200]), 400]);
  await until(() => cluster.hub.orphans === 0, 1000);
}, 30_000);

test("C3 hang when decode fails: prefill is let go, and a decode whose breaker is open is given nothing", async () => {
  await using cluster = new Cluster({ disableRetries: true, cbFailureThreshold: 1 });
  cluster.decode.script = onGenerate(({ connection }) => connection.reset());
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(502);
  await until(() => cluster.hub.orphans === 0, 1000);
  const before = cluster.decode.requests.length;
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(503);
  expect(cluster.decode.requests.length).toBe(before);
});

test("C4 tail requests stuck, and failures after an idle spell: 1,024 at once end, twice, with idle engines between", async () => {
  await using cluster = new Cluster({}, { prefills: 2, decodes: 2 });
  for (let round = 0; round < 2; round++) {
    expect(new Set(await statusesOf(cluster, 1024))).toEqual(new Set([200]));
    for (const worker of [...cluster.prefills, ...cluster.decodes]) worker.closeIdle();
    await until(() => cluster.decodes.every(({ connections }) => connections === 0));
  }
  expect(cluster.hub.orphans).toBe(0);
}, 30_000);

test("C6 disconnect: a prefill that still computes is told when the client leaves in mid-stream", async () => {
  await using cluster = new Cluster();
  cluster.prefill.lag = 60_000;
  cluster.decode.gap = 10;
  cluster.decode.tokens = Array.from({ length: 500 }, () => "x");
  const leave = new AbortController();
  const response = await cluster.post("/generate", { text: "x", stream: true }, { signal: leave.signal });
  await response.body!.getReader().read();
  leave.abort();
  await until(() => cluster.prefill.aborts.length === 1, 1000);
  await until(() => cluster.balancer.live.size === 0, 1000);
  expect(cluster.prefill.aborts[0]).toBe(String(cluster.prefill.bodies[0]!["rid"]));
});

test("C6 abort: what engines answer to a client's own abort goes to it, keeps no pair apart and opens no breaker", async () => {
  await using cluster = new Cluster({ policy: "round_robin", cbFailureThreshold: 1 }, { prefills: 1, decodes: 2 });
  const [first, second] = cluster.decodes.map(({ bodies }) => bodies) as [object[], object[]];
  for (let i = 0; i < 3; i++) {
    cluster.hub.apart = true;
    const waiting = cluster.post("/generate", { text: "x", rid: `mine-${i}` });
    await until(() => cluster.hub.orphans === 2);
    await cluster.post("/abort_request", { rid: `mine-${i}` });
    const response = await waiting;
    expect([response.status, await response.text()]).toEqual([500, expect.stringContaining("Decode transfer failed")]);
    cluster.hub.apart = false;
    expect((await cluster.post("/generate", { text: "x" })).status).toBe(200);
  }
  const before = [first.length, second.length];
  expect(await statusesOf(cluster, 4)).toEqual([200, 200, 200, 200]);
  expect([first.length, second.length]).toEqual(before.map((count) => count + 2));
  expect(new Set(breakers(cluster))).toEqual(new Set(["closed"]));
});

describe("C7 stream damage", () => {
  const streaming = async (...pieces: readonly string[]): Promise<Response> => {
    const cluster = new Cluster();
    cluster.decode.script = onGenerate(({ connection }) => {
      connection.streamHead();
      for (const piece of pieces) connection.chunk(piece);
      connection.streamEnd();
    });
    const response = await cluster.post("/generate", { text: "x", stream: true });
    const whole = new Response(await response.text(), response);
    await cluster[Symbol.asyncDispose]();
    return whole;
  };

  test("an event of 3 MiB is no chunk too big", async () => {
    const event = `data: {"text":"${"y".repeat(3 << 20)}"}\n\n`;
    expect(await (await streaming(event, "data: [DONE]\n\n")).text()).toBe(`${event}data: [DONE]\n\n`);
  });

  test("[DONE] inside an answer ends nothing", async () => {
    const pieces = ['data: {"text":"data: [DONE]"}\n\n', 'data: {"text":"more"}\n\n', "data: [DONE]\n\n"];
    expect(await (await streaming(...pieces)).text()).toBe(pieces.join(""));
  });

  test("events cut anywhere arrive whole, as the engine's own type of content", async () => {
    const response = await streaming('data: {"te', 'xt":"a"}\n', "\ndata: [DO", "NE]\n\n");
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(await events(response)).toEqual(['{"text":"a"}', "[DONE]"]);
  });
});

test("C8 connections: 2,048 at once on eight workers that close after their keep-alive and accept slowly, no 503", async () => {
  await using cluster = new Cluster({}, { prefills: 4, decodes: 4 });
  for (const worker of [...cluster.prefills, ...cluster.decodes]) [worker.acceptDelay, worker.keepAlive] = [30, 20];
  for (let round = 0; round < 2; round++) expect(new Set(await statusesOf(cluster, 2048))).toEqual(new Set([200]));
  await until(() => cluster.decodes.every(({ expired }) => expired > 0));
  expect(new Set(breakers(cluster))).toEqual(new Set(["closed"]));
  await until(() => cluster.hub.orphans === 0, 1500);
}, 60_000);

test("C9 breaker misfires: 429 opens none, and decode's errors open decode's only", async () => {
  await using cluster = new Cluster({ disableRetries: true, cbFailureThreshold: 2 });
  let status = 429;
  cluster.decode.script = onGenerate(({ connection }) => connection.reply(status, "{}"));
  expect(new Set(await statusesOf(cluster, 20))).toEqual(new Set([429]));
  expect(breakers(cluster)).toEqual(["closed", "closed"]);
  status = 500;
  expect(await statusesOf(cluster, 2)).toEqual([500, 500]);
  expect(breakers(cluster)).toEqual(["closed", "open"]);
});

test("C10 load: long prompts whose prefill has not answered are spread, not heaped on the first", async () => {
  await using cluster = new Cluster({}, { prefills: 4, decodes: 1 });
  let hold = true;
  for (const worker of cluster.prefills) worker.script = ({ path }) => path === "/generate" && hold;
  const body = { input_ids: Array.from({ length: 32_000 }, (_, i) => i), sampling_params: { max_new_tokens: 1 } };
  const all = Array.from({ length: 16 }, () => cluster.post("/generate", body));
  await until(() => cluster.hub.orphans === 16, 5000);
  expect(cluster.prefills.map(({ bodies }) => bodies.length)).toEqual([4, 4, 4, 4]);
  hold = false;
  cluster.balancer.abortAll();
  await Promise.all(all);
});

test("C11 ranks: rooms fall evenly on the ranks that prefill takes from them", async () => {
  await using cluster = new Cluster();
  await statusesOf(cluster, 64);
  const counts = new Map<number, number>();
  for (const room of cluster.hub.seen.prefill) counts.set(room % 8, (counts.get(room % 8) ?? 0) + 1);
  expect([...counts.values()]).toEqual(Array(8).fill(8));
});

test("C12 fields: nested and unknown ones, and a client's rid, are not lost", async () => {
  await using cluster = new Cluster();
  const body =
    '{"prompt":"x","rid":"mine","stream_options":{"continuous_usage_stats":true},"big":12345678901234567890,"x":{"y":[1.0]}}';
  const answer = (await (await cluster.post("/v1/completions", body)).json()) as { id: string };
  expect(answer.id).toBe("mine");
  for (const { requests } of [cluster.prefill, cluster.decode]) {
    expect(requests[0]!.text).toContain('"stream_options":{"continuous_usage_stats":true},"big":12345678901234567890');
  }
});

test("C13 keys: the client's key reaches both legs", async () => {
  await using cluster = new Cluster();
  cluster.prefill.apiKey = cluster.decode.apiKey = "k";
  const init = { headers: { authorization: "Bearer k" } };
  expect((await cluster.post("/generate", { text: "x" }, init)).status).toBe(200);
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(401);
});

test("C15 cache flush: the timeout is passed on", async () => {
  await using cluster = new Cluster();
  expect((await cluster.post("/flush_cache?timeout=7", "")).status).toBe(200);
  expect(cluster.decode.requests.map(({ path }) => path)).toEqual(["/flush_cache?timeout=7"]);
});

test("C16 information: what the engine says, or an error, never made up", async () => {
  await using cluster = new Cluster();
  const info = async () => fetch(`${cluster.url}/get_model_info`);
  expect(await (await info()).json()).toMatchObject({ model_path: expect.stringContaining("kjv") });
  cluster.prefill.stop();
  expect((await info()).status).toBe(502);
});

test("C17 retries: another room, and the whole body again", async () => {
  await using cluster = new Cluster({ policy: "round_robin" }, { prefills: 2, decodes: 1 });
  cluster.prefills[0]!.script = onGenerate(({ connection }) => connection.reset());
  const body = { text: "y".repeat(100_000) };
  for (let i = 0; i < 4; i++) expect((await cluster.post("/generate", body)).status).toBe(200);
  const sent = cluster.decode.bodies.filter(({ text }) => text !== undefined);
  expect(sent.length).toBeGreaterThan(4);
  expect(sent.every(({ text }) => text === body.text)).toBe(true);
  expect(new Set(cluster.hub.seen.decode).size).toBe(cluster.hub.seen.decode.length);
});

describe("C18 robustness", () => {
  test("all workers die: errors, no crash, and service again once they are back", async () => {
    await using cluster = new Cluster({ disableRetries: true, disableCircuitBreaker: true });
    cluster.prefill.stop();
    cluster.decode.stop();
    expect(new Set(await statusesOf(cluster, 50))).toEqual(new Set([502]));
    using _prefill = restarted(cluster.prefill, cluster);
    using _decode = restarted(cluster.decode, cluster);
    expect(await statusesOf(cluster, 5)).toEqual(Array(5).fill(200));
  });

  test("one decode that hangs stalls nobody else, and probes are answered meanwhile", async () => {
    await using cluster = new Cluster({ policy: "round_robin" }, { prefills: 1, decodes: 2 });
    cluster.decodes[0]!.script = onGenerate(() => undefined);
    const stuck: number[] = [];
    const all = Array.from({ length: 100 }, async () =>
      stuck.push((await cluster.post("/generate", { text: "x" })).status),
    );
    await until(() => stuck.length === 50);
    expect((await fetch(`${cluster.url}/health`)).status).toBe(200);
    cluster.balancer.abortAll();
    await until(() => stuck.length === 100, 5000);
    await Promise.all(all);
  });

  function restarted(worker: MockWorker, { hub }: Cluster): Disposable {
    const again = new MockWorker(worker.role, hub, worker.port);
    return { [Symbol.dispose]: () => again.stop() };
  }
});

describe("C19 prefill refuses bursts", () => {
  test("a prefill that resets whoever comes while 16 are in it is given 16, and the other 1,000 wait", async () => {
    await using cluster = new Cluster({ maxPrefillRequests: 16, queueSize: 2048 });
    let inside = 0;
    let refused = 0;
    cluster.prefill.lag = 1;
    cluster.prefill.script = ({ path, connection }) => {
      if (path !== "/generate") return false;
      if (inside >= 16) {
        refused++;
        connection.reset();
        return true;
      }
      inside++;
      connection.onAnswer = () => inside--;
      return false;
    };
    expect(new Set(await statusesOf(cluster, 1016))).toEqual(new Set([200]));
    expect(refused).toBe(0);
  }, 30_000);

  test("without any prefill nothing is served by decode alone", async () => {
    await using cluster = new Cluster({ prefill: [] });
    expect((await cluster.post("/generate", { text: "x" })).status).toBe(503);
    expect(cluster.decode.requests).toHaveLength(0);
  });
});
