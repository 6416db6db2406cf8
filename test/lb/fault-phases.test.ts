/** Faults by the moment at which they come: between the two heads, after a head, and a client that leaves in each phase. @module */
import { describe, expect, test } from "bun:test";
import { Cluster, until } from "./support/cluster.ts";
import type { MockRequest } from "./support/mock-connection.ts";

const ONE_TRY = { disableRetries: true, cbFailureThreshold: 1 } as const;
const PARTIAL = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
const RELEASED = 1000;

const onGenerate = (act: (request: MockRequest) => void) => (request: MockRequest) => {
  if (request.path !== "/generate") return false;
  act(request);
  return true;
};
const head = ({ connection }: MockRequest, stream: boolean): void =>
  stream ? connection.streamHead() : connection.raw(PARTIAL);
const other = (leg: "prefill" | "decode") => (leg === "prefill" ? "decode" : "prefill");

/** Nothing is held any more, here or at an engine. */
async function released(cluster: Cluster): Promise<void> {
  await until(() => cluster.hub.orphans === 0 && cluster.balancer.live.size === 0, RELEASED);
  for (const { requests, tokens } of cluster.balancer.fleet.all()) expect([requests, tokens]).toEqual([0, 0]);
}

for (const leg of ["prefill", "decode"] as const) {
  for (const stream of [false, true]) {
    describe(`${leg}, ${stream ? "streamed" : "whole"}`, () => {
      test("dies between the heads: the other's has come", async () => {
        await using cluster = new Cluster(ONE_TRY);
        let waiting: MockRequest | undefined;
        cluster[other(leg)].script = onGenerate((request) => {
          waiting = request;
          head(request, stream);
        });
        cluster[leg].script = onGenerate(({ connection }) => {
          const arrived = (): boolean =>
            [...cluster.balancer.live].some((attempt) => attempt[other(leg)].head !== undefined);
          void until(arrived).then(() => connection.reset());
        });
        const response = await cluster.post("/generate", { text: "x", stream });
        expect([response.status, response.headers.get("x-kvwire-error-code")]).toEqual([502, `${leg}_failed`]);
        await until(() => cluster[other(leg)].aborts.length === 1, RELEASED);
        await until(() => waiting!.connection.gone, RELEASED);
        await released(cluster);
        const states = cluster.balancer.fleet.all().map(({ role, breaker }) => [role, breaker.state]);
        expect(Object.fromEntries(states)).toEqual({ [leg]: "open", [other(leg)]: "closed" });
      });

      test("hangs after its head", async () => {
        const limits = { prefillTimeoutSecs: 0.1, prefillTimeoutPerTokenMs: 0, firstOutputTimeoutSecs: 0.1 };
        await using cluster = new Cluster({ ...ONE_TRY, ...limits, requestTimeoutSecs: 0.3 });
        cluster[leg].script = onGenerate((request) => head(request, stream));
        // Decode that hangs has had its pages: prefill is done with it.
        if (leg === "decode") cluster.prefill.script = onGenerate(({ connection }) => connection.reply(200, "{}"));
        const response = await cluster.post("/generate", { text: "x", stream });
        expect(response.status).toBe(504);
        await until(() => cluster[leg].aborts.length === 1, RELEASED);
        await released(cluster);
      });
    });
  }
}

describe("a client that leaves", () => {
  const leaving = (cluster: Cluster, stream: boolean) => {
    const leave = new AbortController();
    const gone = cluster.post("/generate", { text: "x", stream }, { signal: leave.signal }).then(
      (response) => response,
      () => "gone",
    );
    return { leave, gone };
  };
  const aborts = (cluster: Cluster): number[] => [cluster.prefill.aborts.length, cluster.decode.aborts.length];

  for (const stream of [false, true]) {
    describe(stream ? "a stream" : "a whole answer", () => {
      test("in the queue: no engine hears of it", async () => {
        await using cluster = new Cluster({ maxConcurrentRequests: 0 });
        const { leave, gone } = leaving(cluster, stream);
        await until(() => cluster.balancer.admission.waiting === 1);
        leave.abort();
        expect(await gone).toBe("gone");
        await until(() => cluster.balancer.admission.waiting === 0, RELEASED);
        expect(cluster.decode.requests).toHaveLength(0);
      });

      test("before anybody answered: both engines are told", async () => {
        await using cluster = new Cluster();
        cluster.prefill.script = ({ path }) => path === "/generate";
        const { leave, gone } = leaving(cluster, stream);
        await until(() => cluster.hub.orphans === 1);
        leave.abort();
        expect(await gone).toBe("gone");
        await until(() => String(aborts(cluster)) === "1,1", RELEASED);
        await released(cluster);
      });

      test("after decode's head, before its first output: both engines are told", async () => {
        await using cluster = new Cluster();
        cluster.prefill.script = ({ path }) => path === "/generate";
        cluster.decode.script = onGenerate((request) => head(request, stream));
        const { leave, gone } = leaving(cluster, stream);
        await until(() => [...cluster.balancer.live].some(({ phase }) => phase === "accepted"));
        leave.abort();
        expect(await gone).toBe("gone");
        await until(() => String(aborts(cluster)) === "1,1", RELEASED);
        await released(cluster);
      });

      test("after prefill's answer: decode is told", async () => {
        await using cluster = new Cluster();
        cluster.prefill.script = onGenerate(({ connection }) => connection.reply(200, "{}"));
        cluster.decode.script = ({ path }) => path === "/generate";
        const { leave, gone } = leaving(cluster, stream);
        await until(() => [...cluster.balancer.live].some(({ prefillAt }) => prefillAt > 0));
        leave.abort();
        expect(await gone).toBe("gone");
        await until(() => cluster.decode.aborts.length === 1, RELEASED);
        await released(cluster);
      });
    });
  }

  test("in mid-stream: decode's connection is closed", async () => {
    await using cluster = new Cluster();
    cluster.decode.gap = 20;
    cluster.decode.tokens = Array.from({ length: 200 }, () => "x");
    const { leave, gone } = leaving(cluster, true);
    await ((await gone) as Response).body!.getReader().read();
    leave.abort();
    await until(() => cluster.decode.connections === 0, RELEASED);
    await released(cluster);
  });
});

test("2,048 at once, of which some are refused, some lose an engine and some lose their client, leave nothing behind", async () => {
  await using cluster = new Cluster({ ...ONE_TRY, disableCircuitBreaker: true }, { prefills: 2, decodes: 2 });
  const fate = ({ text }: Record<string, unknown>): number => Number(text) % 8;
  for (const worker of cluster.prefills) {
    worker.script = (request, body) => {
      if (request.path !== "/generate" || fate(body) > 2) return false;
      if (fate(body) === 0) request.connection.reset();
      else if (fate(body) === 1) request.connection.reply(400, "{}");
      return true;
    };
  }
  for (const worker of cluster.decodes) {
    worker.script = (request, body) => {
      if (request.path !== "/generate" || fate(body) !== 3) return false;
      request.connection.reset();
      return true;
    };
  }
  const expected = [502, 400, "gone", 502, 200, 200, 200, 200];
  const ends = await Promise.all(
    Array.from({ length: 2048 }, async (_, i) => {
      const leave = new AbortController();
      const response = cluster.post("/generate", { text: String(i), stream: i % 16 > 7 }, { signal: leave.signal });
      // Those that prefill never answers.
      if (i % 8 === 2) void until(() => cluster.hub.orphans > 0, 10_000).then(() => leave.abort());
      return response.then(
        async (answer) => [await answer.arrayBuffer(), answer.status][1],
        () => "gone",
      );
    }),
  );
  expect(ends).toEqual(Array.from({ length: 2048 }, (_, i) => expected[i % 8]));
  await until(() => cluster.hub.orphans === 0 && cluster.balancer.live.size === 0, 2 * RELEASED);
  for (const { requests, tokens } of cluster.balancer.fleet.all()) expect([requests, tokens]).toEqual([0, 0]);
}, 60_000);
