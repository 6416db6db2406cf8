import { describe, expect, test } from "bun:test";
import { Cluster, events, until } from "./support/cluster.ts";
import type { MockRequest } from "./support/mock-connection.ts";

type LegName = "prefill" | "decode";

interface Fault {
  readonly name: string;
  readonly act: (request: MockRequest) => void;
  /** Expected at the client, by leg. */
  readonly status: Readonly<Record<LegName, number>>;
  /** Counts against the worker whose fault it was. */
  readonly blamed: boolean;
  readonly header?: readonly [string, string];
}

const PARTIAL = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";

const FAULTS: readonly Fault[] = [
  {
    name: "resets before the head",
    act: ({ connection }) => connection.reset(),
    status: { prefill: 502, decode: 502 },
    blamed: true,
  },
  {
    name: "resets in mid-body",
    act: ({ connection }) => {
      connection.raw(PARTIAL);
      setTimeout(() => connection.reset(), 5);
    },
    status: { prefill: 502, decode: 502 },
    blamed: true,
  },
  {
    name: "closes in mid-body",
    act: ({ connection }) => {
      connection.raw(PARTIAL);
      connection.close();
    },
    status: { prefill: 502, decode: 502 },
    blamed: true,
  },
  {
    name: "answers 400",
    act: ({ connection }) => connection.reply(400, '{"error":"no"}'),
    status: { prefill: 400, decode: 400 },
    blamed: false,
  },
  {
    name: "answers 413",
    act: ({ connection }) => connection.reply(413, '{"error":"no"}'),
    status: { prefill: 413, decode: 413 },
    blamed: false,
  },
  {
    name: "answers 500",
    act: ({ connection }) => connection.reply(500, '{"error":"no"}'),
    status: { prefill: 502, decode: 500 },
    blamed: true,
  },
  {
    name: "answers 429 with Retry-After",
    act: ({ connection }) => connection.reply(429, '{"error":"busy"}', { "retry-after": "3" }),
    status: { prefill: 429, decode: 429 },
    blamed: false,
    header: ["retry-after", "3"],
  },
  {
    name: "answers 503 with Retry-After",
    act: ({ connection }) => connection.reply(503, '{"error":"busy"}', { "retry-after": "3" }),
    status: { prefill: 503, decode: 503 },
    blamed: false,
    header: ["retry-after", "3"],
  },
  {
    name: "speaks another protocol",
    act: ({ connection }) => connection.raw("SSH-2.0-x\r\n\r\n"),
    status: { prefill: 502, decode: 502 },
    blamed: true,
  },
  {
    name: "sends two lengths",
    act: ({ connection }) => connection.raw("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}"),
    status: { prefill: 502, decode: 502 },
    blamed: true,
  },
];

const ONE_TRY = { disableRetries: true, cbFailureThreshold: 1 } as const;
const other = (leg: LegName): LegName => (leg === "prefill" ? "decode" : "prefill");

function workers(cluster: Cluster) {
  const of = (role: LegName) => cluster.balancer.fleet.of(role)[0]!;
  return { prefill: of("prefill"), decode: of("decode") };
}

for (const leg of ["prefill", "decode"] as const) {
  for (const stream of [false, true]) {
    describe(`${leg}, ${stream ? "streamed" : "whole"}`, () => {
      test.each(FAULTS.map((fault) => [fault.name, fault] as const))("%s", async (_name, fault) => {
        await using cluster = new Cluster(ONE_TRY);
        cluster[leg].script = (request) => {
          if (request.path !== "/generate") return false;
          // The other half must be waiting already, or there would be nothing to release.
          void until(() => cluster.hub.orphans === 1).then(() => fault.act(request));
          return true;
        };
        const response = await cluster.post("/generate", { text: "x", stream });
        expect(response.status).toBe(fault.status[leg]);
        if (fault.header !== undefined) expect(response.headers.get(fault.header[0])).toBe(fault.header[1]);
        await response.text();
        await until(() => cluster.hub.orphans === 0, 1000);
        await until(() => cluster.balancer.live.size === 0, 1000);
        const { [leg]: guilty, [other(leg)]: innocent } = workers(cluster);
        expect(guilty.breaker.state).toBe(fault.blamed ? "open" : "closed");
        expect(innocent.breaker.state).toBe("closed");
        expect([guilty.requests, guilty.tokens, innocent.requests, innocent.tokens]).toEqual([0, 0, 0, 0]);
      });

      test("refuses connections", async () => {
        await using cluster = new Cluster(ONE_TRY);
        cluster[leg].stop();
        const response = await cluster.post("/generate", { text: "x", stream });
        expect(response.status).toBe(502);
        expect(response.headers.get("x-kvwire-error-code")).toBe(`${leg}_failed`);
        await until(() => cluster.hub.orphans === 0, 1000);
        expect(workers(cluster)[leg].breaker.state).toBe("open");
        expect(workers(cluster)[other(leg)].breaker.state).toBe("closed");
      });

      test("accepts and never answers", async () => {
        await using cluster = new Cluster({ ...ONE_TRY, prefillTimeoutSecs: 0.2, prefillTimeoutPerTokenMs: 0 });
        cluster[leg].script = (request) => request.path === "/generate";
        const response = await cluster.post("/generate", { text: "x", stream });
        expect(response.status).toBe(504);
        await until(() => cluster.hub.orphans === 0, 1000);
        // Neither had answered: it cannot be told which of the two is to blame.
        expect(workers(cluster).prefill.breaker.state).toBe("closed");
        expect(workers(cluster).decode.breaker.state).toBe("closed");
      });
    });
  }
}

test("a stream that breaks ends with one valid error event and [DONE]", async () => {
  await using cluster = new Cluster();
  cluster.decode.script = (request) => {
    if (request.path !== "/generate") return false;
    const { connection } = request;
    connection.streamHead();
    connection.chunk('data: {"text":"a","meta_info":{"finish_reason":null}}\n\ndata: {"te');
    setTimeout(() => connection.reset(), 20);
    return true;
  };
  const response = await cluster.post("/generate", { text: "x", stream: true });
  expect(response.status).toBe(200);
  const [first, error, done] = await events(response);
  expect(JSON.parse(first!)).toMatchObject({ text: "a" });
  expect(JSON.parse(error!)).toMatchObject({ error: { code: "decode_failed" } });
  expect(done).toBe("[DONE]");
});

test("a stream that falls silent dies on time", async () => {
  await using cluster = new Cluster({ streamIdleTimeoutSecs: 0.15 });
  cluster.decode.script = (request) => {
    if (request.path !== "/generate") return false;
    request.connection.streamHead();
    request.connection.chunk('data: {"text":"a"}\n\n');
    return true;
  };
  const response = await cluster.post("/generate", { text: "x", stream: true });
  expect((await events(response))[1]).toContain("stream_idle_timeout");
  expect(cluster.decode.connections).toBeLessThanOrEqual(1);
});

test("a stream that gives no first event in time is a 504", async () => {
  await using cluster = new Cluster({ firstOutputTimeoutSecs: 0.1, disableRetries: true });
  cluster.decode.script = (request) => {
    if (request.path !== "/generate") return false;
    request.connection.streamHead();
    return true;
  };
  cluster.prefill.script = (request) => {
    if (request.path !== "/generate") return false;
    request.connection.reply(200, "{}");
    return true;
  };
  const response = await cluster.post("/generate", { text: "x", stream: true });
  expect(response.status).toBe(504);
  expect(response.headers.get("x-kvwire-error-code")).toBe("first_output_timeout");
});

test("prefill's failure after decode has spoken is logged and no more", async () => {
  await using cluster = new Cluster(ONE_TRY);
  cluster.prefill.script = (request) => {
    if (request.path !== "/generate") return false;
    setTimeout(() => request.connection.reset(), 60);
    return true;
  };
  cluster.decode.script = (request) => {
    if (request.path !== "/generate") return false;
    const { connection } = request;
    connection.streamHead();
    connection.chunk('data: {"text":"a"}\n\n');
    setTimeout(() => {
      connection.chunk("data: [DONE]\n\n");
      connection.streamEnd();
    }, 120);
    return true;
  };
  const response = await cluster.post("/generate", { text: "x", stream: true });
  expect(await events(response)).toEqual(['{"text":"a"}', "[DONE]"]);
  expect(workers(cluster).prefill.breaker.state).toBe("open");
});

test("decode's report of a lost transfer counts against neither worker", async () => {
  await using cluster = new Cluster(ONE_TRY);
  cluster.decode.script = (request) => {
    if (request.path !== "/generate") return false;
    request.connection.reply(
      500,
      '{"object":"error","message":"Decode transfer failed ... Lost connection with prefill instance"}',
    );
    return true;
  };
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(500);
  expect(workers(cluster).prefill.breaker.state).toBe("closed");
  expect(workers(cluster).decode.breaker.state).toBe("closed");
});

test("another worker is tried, with another room, while the client has got nothing", async () => {
  await using cluster = new Cluster({ policy: "round_robin" }, { prefills: 2, decodes: 1 });
  cluster.prefills[0]!.stop();
  for (let i = 0; i < 4; i++) expect((await cluster.post("/generate", { text: "x" })).status).toBe(200);
  const rooms = cluster.hub.seen.decode;
  expect(new Set(rooms).size).toBe(rooms.length);
  expect(rooms.length).toBeGreaterThan(4);
});

test("a connection that the engine closed while it idled is replaced without the client noticing", async () => {
  await using cluster = new Cluster({ disableRetries: false });
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(200);
  for (const worker of [cluster.prefill, cluster.decode]) {
    let first = true;
    worker.script = (request) => {
      if (request.path !== "/generate" || !first) return false;
      first = false;
      request.connection.reset();
      return true;
    };
  }
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(200);
  expect(workers(cluster).prefill.breaker.state).toBe("closed");
  await until(() => cluster.hub.orphans === 0, 1000);
});
