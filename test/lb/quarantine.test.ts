import { expect, test } from "bun:test";
import { Fleet, PairQuarantine } from "../../lb/workers/index.ts";
import { Cluster } from "./support/cluster.ts";

const breaker = { threshold: 0, successes: 1, openFor: 1, window: 1 };

test("a pair that fails three times is kept apart for a minute, its members are not", () => {
  const fleet = new Fleet({ connectTimeout: 1, idleTimeout: 1, maxIdle: 1, breaker });
  const prefill = fleet.add({ url: "http://p:1", role: "prefill" });
  const other = fleet.add({ url: "http://q:1", role: "prefill" });
  const bad = fleet.add({ url: "http://d:1", role: "decode" });
  const good = fleet.add({ url: "http://e:1", role: "decode" });
  const quarantine = new PairQuarantine();
  const partners = (of: typeof prefill, now: number) => quarantine.partners(of, [bad, good], now);
  for (let i = 0; i < 3; i++) {
    expect(partners(prefill, i)).toEqual([bad, good]);
    quarantine.failed({ prefill, decode: bad }, i);
  }
  expect(partners(prefill, 10)).toEqual([good]);
  expect(partners(other, 10)).toEqual([bad, good]);
  // Better a bad pair than none.
  expect(quarantine.partners(prefill, [bad], 10)).toEqual([bad]);
  expect(partners(prefill, 61_000)).toEqual([bad, good]);
  quarantine.failed({ prefill, decode: bad }, 70_000);
  quarantine.succeeded({ prefill, decode: bad });
  expect(partners(prefill, 70_001)).toEqual([bad, good]);
});

test("transfers that break between two hosts go by another pair, and open no breaker", async () => {
  await using cluster = new Cluster({ policy: "round_robin", cbFailureThreshold: 1 }, { prefills: 1, decodes: 2 });
  cluster.decodes[0]!.script = (request) => {
    if (request.path !== "/generate") return false;
    request.connection.reply(500, '{"message":"Decode transfer failed"}');
    return true;
  };
  const statuses: number[] = [];
  for (let i = 0; i < 12; i++) statuses.push((await cluster.post("/generate", { text: "x" })).status);
  expect(statuses.filter((status) => status === 500)).toHaveLength(3);
  expect(statuses.slice(-6)).toEqual([200, 200, 200, 200, 200, 200]);
  expect(cluster.balancer.fleet.all().map((worker) => worker.breaker.state)).toEqual(["closed", "closed", "closed"]);
});
