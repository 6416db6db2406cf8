import { describe, expect, test } from "bun:test";
import { createLog, Histogram, mergeExpositions } from "../../lb/observe/index.ts";
import { Cluster, until } from "./support/cluster.ts";

async function metric(cluster: Cluster, series: string): Promise<number> {
  const text = await (await fetch(`${cluster.url}/metrics`)).text();
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? Number.NaN : Number(line.slice(series.length + 1));
}

test("first-token, inter-token and prefill-lag times match the mock's truth", async () => {
  await using cluster = new Cluster();
  cluster.decode.gap = 40;
  cluster.prefill.lag = 60;
  await (await cluster.post("/generate", { text: "x", stream: true })).text();
  await until(() => cluster.balancer.live.size === 0);
  expect(await metric(cluster, "kvwire_lb_ttft_seconds_count")).toBe(1);
  expect(await metric(cluster, "kvwire_lb_ttft_seconds_sum")).toBeLessThan(1);
  const gaps = await metric(cluster, "kvwire_lb_inter_token_seconds_sum");
  expect(gaps).toBeGreaterThan(0.075);
  expect(gaps).toBeLessThan(1);
  const lag = await metric(cluster, "kvwire_lb_prefill_lag_seconds_sum");
  expect(lag).toBeGreaterThan(0.05);
  expect(lag).toBeLessThan(1);
});

test("failures are counted by leg and cause, rooms by phase", async () => {
  await using cluster = new Cluster({ disableRetries: true });
  cluster.decode.script = (request) => {
    if (request.path !== "/generate") return false;
    request.connection.reset();
    return true;
  };
  await cluster.post("/generate", { text: "x" });
  expect(
    await metric(
      cluster,
      `kvwire_lb_leg_failures_total{role="decode",worker="${cluster.decode.url}",cause="decode_failed"}`,
    ),
  ).toBe(1);
  expect(
    await metric(cluster, 'kvwire_lb_responses_total{endpoint="/generate",status="502",code="decode_failed"}'),
  ).toBe(1);
  cluster.decode.script = (request) => request.path === "/generate";
  const waiting = cluster.post("/generate", { text: "x" }).catch(() => undefined);
  await until(() => cluster.hub.orphans === 1);
  expect(await metric(cluster, 'kvwire_lb_rooms{phase="dispatched"}')).toBe(1);
  expect(await metric(cluster, `kvwire_lb_worker_requests{role="prefill",worker="${cluster.prefill.url}"}`)).toBe(1);
  cluster.decode.stop();
  await waiting;
});

test("every line of /metrics is well-formed and every series has its type", async () => {
  await using cluster = new Cluster();
  await (await cluster.post("/generate", { text: "x", stream: true })).text();
  const text = await (await fetch(`${cluster.url}/metrics`)).text();
  const types = new Map<string, string>();
  for (const line of text.split("\n").filter((candidate) => candidate !== "")) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type !== null) types.set(type[1]!, type[2]!);
    if (line.startsWith("#")) continue;
    const sample = /^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (-?[\d.e+-]+|NaN|[+-]Inf)( \d+)?$/.exec(line);
    expect(sample, line).not.toBeNull();
    expect(types.has(sample![1]!) || types.has(sample![1]!.replace(/_(bucket|sum|count|total)$/, "")), line).toBe(true);
  }
});

describe("several threads' metrics", () => {
  test("add up, and what they share is not counted twice", () => {
    const text =
      '# TYPE kvwire_lb_requests_total counter\nkvwire_lb_requests_total{endpoint="/x y"} 2\nkvwire_lb_worker_requests{worker="w"} 5\n';
    const merged = mergeExpositions([text, text]);
    expect(merged).toContain('kvwire_lb_requests_total{endpoint="/x y"} 4');
    expect(merged).toContain('kvwire_lb_worker_requests{worker="w"} 5');
    expect(merged.match(/# TYPE/g)).toHaveLength(1);
  });
});

test("a histogram's quantiles lie in the right bucket", () => {
  const histogram = new Histogram([1, 2, 4, 8]);
  for (let i = 0; i < 100; i++) histogram.observe(i < 90 ? 1.5 : 6);
  expect(histogram.quantile(0.5)).toBeGreaterThan(1);
  expect(histogram.quantile(0.5)).toBeLessThanOrEqual(2);
  expect(histogram.quantile(0.99)).toBeGreaterThan(4);
  expect(new Histogram([1]).quantile(0.5)).toBe(0);
});

test("keys never reach the log", () => {
  const lines: string[] = [];
  const write = process.stdout.write;
  process.stdout.write = ((line: string) => lines.push(line) > 0) as typeof process.stdout.write;
  try {
    const log = createLog({ logLevel: "info", logPretty: true });
    log.info(
      { apiKey: "secret-1", worker: { apiKey: "secret-2", url: "http://w" }, authorization: "Bearer secret-3" },
      "x",
    );
  } finally {
    process.stdout.write = write;
  }
  expect(lines.join("")).toContain("http://w");
  expect(lines.join("")).not.toContain("secret");
});

test("a response tells its pair, its id and where its time went", async () => {
  await using cluster = new Cluster();
  const { headers } = await cluster.post("/generate", { text: "x" });
  expect(headers.get("x-request-id")).toMatch(/^req-kv/);
  const timing = headers.get("server-timing")!;
  expect(timing).toMatch(/^queue;dur=[\d.]+, prefill;(dur=[\d.]+;)?desc="[^"]+", decode;dur=[\d.]+;desc="[^"]+"$/);
  expect(timing).toContain(`desc="${cluster.prefill.url}", decode;`);
  expect(timing).toEndWith(`desc="${cluster.decode.url}"`);
});

test("/openapi.json describes every path that is served", async () => {
  await using cluster = new Cluster();
  const document = (await (await fetch(`${cluster.url}/openapi.json`)).json()) as {
    openapi: string;
    paths: Record<string, Record<string, unknown>>;
  };
  expect(document.openapi).toBe("3.1.0");
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const method of Object.keys(methods)) {
      const response = await fetch(cluster.url + path.replace("{id}", "x"), {
        method: method.toUpperCase(),
        ...(method === "get" ? {} : { body: "{}" }),
      });
      const body =
        method === "get" && response.headers.get("content-type")?.includes("event-stream") ? "" : await response.text();
      expect(body, `${method} ${path}`).not.toContain("is not served here");
    }
  }
});

test("the dashboard is one page that gets its data as events", async () => {
  await using cluster = new Cluster();
  const page = await (await fetch(`${cluster.url}/dashboard`)).text();
  expect(page).toContain("<title>kvwire load balancer</title>");
  expect(page).not.toMatch(/(?:src|href)="http/);
  const reader = (await fetch(`${cluster.url}/dashboard/events`)).body!.getReader();
  const event = Buffer.from((await reader.read()).value!).toString();
  expect(JSON.parse(event.slice(6))).toMatchObject({
    active: 0,
    workers: [{ worker_type: "prefill" }, { worker_type: "decode" }],
  });
  await reader.cancel();
});
