import { expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseOptions } from "../../lb/config/index.ts";
import {
  cacheAware,
  consistentHash,
  leastLoad,
  loadPolicies,
  powerOfTwo,
  PrefixIndex,
  random,
  roundRobin,
  type Policy,
} from "../../lb/policy/index.ts";
import { ENDPOINTS, parseRequest } from "../../lb/request/index.ts";
import { Fleet, type Role, type Worker } from "../../lb/workers/index.ts";

const breaker = { threshold: 0, successes: 1, openFor: 1, window: 1 };

function workers(count: number, role: Role = "prefill"): readonly Worker[] {
  const fleet = new Fleet({ connectTimeout: 1, idleTimeout: 1, maxIdle: 1, breaker });
  for (let i = 0; i < count; i++) fleet.add({ url: `http://w${i}:1`, role });
  return fleet.of(role);
}

const choice = (text: string, headers: Record<string, string> = {}, model = "m") => ({
  request: parseRequest(ENDPOINTS.get("/generate")!, Buffer.from(JSON.stringify({ model, text }))),
  headers: new Headers(headers),
});

/** Counts choices; each chosen worker is given the request and keeps it. */
function spread(policy: Policy, list: readonly Worker[], times: number, tokens = 100): number[] {
  for (let i = 0; i < times; i++) policy.choose(list, choice(`prompt ${i}`)).begin(tokens);
  return list.map((worker) => worker.requests);
}

test.each([
  ["round_robin", roundRobin(), 0],
  ["least_load", leastLoad(), 0],
  ["power_of_two", powerOfTwo(), 12],
  ["random", random(), 60],
] as const)("%s spreads 400 requests over 4 workers", (_name, policy, slack) => {
  const counts = spread(policy, workers(4), 400);
  for (const count of counts) expect(Math.abs(count - 100)).toBeLessThanOrEqual(slack);
});

test("load at dispatch is in tokens: one long prompt outweighs many short ones", () => {
  const list = workers(2);
  list[0]!.begin(32_000);
  for (let i = 0; i < 20; i++) leastLoad().choose(list, choice("x")).begin(100);
  expect(list.map((worker) => worker.requests)).toEqual([1, 20]);
});

test("32 long prompts one after another spread evenly over prefills before any has answered", () => {
  const counts = spread(
    cacheAware({ threshold: 0.3, absolute: 64, relative: 1.5, maxBytes: 1 << 20 }),
    workers(4),
    32,
    32_000,
  );
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
});

test("consistent_hash: one key, one worker; a worker that leaves moves only its own keys", () => {
  const list = workers(5);
  const policy = consistentHash("x-session");
  const before = new Map<string, Worker>();
  for (let i = 0; i < 300; i++) before.set(`s${i}`, policy.choose(list, choice("x", { "x-session": `s${i}` })));
  expect(new Set(before.values()).size).toBe(5);
  const left = list.slice(1);
  for (const [key, worker] of before) {
    const now = policy.choose(left, choice("x", { "x-session": key }));
    if (worker !== list[0]) expect(now).toBe(worker);
  }
});

const options = { threshold: 0.3, absolute: 1e9, relative: 1e9, maxBytes: 1 << 20 };

test("cache_aware: a prompt follows its prefix, another one does not", () => {
  const list = workers(4);
  const policy = cacheAware(options);
  const system = "You are a helpful assistant. ".repeat(60);
  const first = policy.choose(list, choice(`${system}one`));
  first.begin(1000);
  for (let i = 0; i < 10; i++) expect(policy.choose(list, choice(`${system} and ${i}`))).toBe(first);
  expect(policy.choose(list, choice("Something else entirely. ".repeat(60)))).not.toBe(first);
});

test("cache_aware: models are apart, and an overloaded worker is not followed", () => {
  const list = workers(2);
  const policy = cacheAware({ ...options, absolute: 64, relative: 1.5 });
  const text = "Once upon a time. ".repeat(100);
  const first = policy.choose(list, choice(text));
  first.begin(10);
  expect(policy.choose(list, choice(text, {}, "other"))).not.toBe(first);
  expect(policy.choose(list, choice(text))).toBe(first);
  first.begin(100_000);
  expect(policy.choose(list, choice(text))).not.toBe(first);
});

test("the index of prefixes stays within its memory and forgets the oldest", () => {
  const [worker] = workers(1);
  const index = new PrefixIndex(128 * 100);
  for (let i = 0n; i < 1000n; i++) index.insert([i], worker!);
  expect(index.size).toBe(100);
  expect(index.match([999n], [worker!]).get(worker!)).toBe(1);
  expect(index.match([0n], [worker!]).size).toBe(0);
  index.forget(worker!);
  expect(index.size).toBe(0);
});

test("a third party's policy is loaded by its path", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "kvwire-lb-")), "last.ts");
  writeFileSync(file, 'export const createPolicy = () => ({ name: "last", choose: (workers) => workers.at(-1) });');
  const { prefill } = await loadPolicies(parseOptions({ policy: file }));
  const list = workers(3);
  expect(prefill.choose(list, choice("x"))).toBe(list[2]!);
  writeFileSync(join(file, "../empty.ts"), "export const x = 1;");
  await expect(loadPolicies(parseOptions({ policy: join(file, "../empty.ts") }))).rejects.toThrow("createPolicy");
});
