/**
 * Whether the load balancer's memory stays flat: a steady mix of requests for a long time, its memory every minute, the
 * slope in the end. `bun bench/soak.ts [minutes = 30] [requests a second = 200]`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { percentile, table } from "./table.ts";

const MINUTES = Number(process.argv[2] ?? 30);
const RATE = Number(process.argv[3] ?? 200);
const MINUTE = 60_000;
/** Part of the run after which memory should no longer grow. */
const WARM = 1 / 3;
const SECOND = 1000;
/** ms between two looks at how many requests are due. */
const TICK = 10;
const MIB = 2 ** 20;
const PAGE = 4096;
const ROOT = join(import.meta.dir, "..");

const stream = (tokens: number) => ({ stream: true, sampling_params: { max_new_tokens: tokens } });
const text = "Let me tell you a lonnng story ";
const long = Array.from({ length: 10_000 }, (_, i) => i);

/** Of each ten requests, one after the other: what a day of service is made of. */
const MIX: readonly { readonly path: string; readonly body: string; readonly leaves?: true }[] = [
  { path: "/generate", body: { text } },
  { path: "/generate", body: { text, ...stream(20) } },
  { path: "/generate", body: { text, rid: "a client's own" } },
  { path: "/generate", body: { input_ids: long } },
  { path: "/generate", body: { text, ...stream(100) } },
  { path: "/v1/completions", body: { prompt: text, max_tokens: 1 } },
  { path: "/generate", body: { text, ...stream(400) }, leaves: true as const },
  { path: "/generate", body: { text, return_logprob: true } },
  { path: "/generate", body: { text, bootstrap_room: -1, sampling_params: { n: 0 } } },
  { path: "/generate", body: { text, ...stream(20) } },
].map((one) => ({ ...one, body: JSON.stringify(one.body) }));
const REFUSED = '"n":0';

type Child = Subprocess<"ignore", "pipe", "inherit">;
const children: Child[] = [];

/** Starts one and gives its first line, which tells where it listens. */
async function start(...args: string[]): Promise<{ child: Child; line: string }> {
  const options = { cwd: ROOT, stdin: "ignore", stdout: "pipe", stderr: "inherit" } as const;
  const child = Bun.spawn([process.execPath, ...args], options);
  children.push(child);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const [line = ""] = Buffer.from(value ?? [])
    .toString()
    .split("\n");
  void discard(reader);
  return { child, line };
}

/** A full pipe would hold up who writes into it. */
async function discard(reader: { read(): Promise<{ done: boolean }> }): Promise<void> {
  while (!(await reader.read()).done);
}

/** Bytes resident and descriptors open, from proc(5). */
function holdings(pid: number): { resident: number; descriptors: number } {
  const resident = Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]) * PAGE;
  return { resident, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

const tally = { sent: 0, done: 0, failed: 0, running: 0 };
let latencies: number[] = [];

async function ask(url: string, { path, body, leaves }: (typeof MIX)[number]): Promise<void> {
  const began = performance.now();
  tally.running++;
  const leave = new AbortController();
  try {
    const response = await fetch(url + path, { method: "POST", body, signal: leave.signal });
    if (leaves) {
      await response.body!.getReader().read();
      leave.abort();
    } else await response.arrayBuffer();
    if (response.status === (body.includes(REFUSED) ? 400 : 200)) tally.done++;
    else tally.failed++;
  } catch {
    tally.failed++;
  }
  latencies.push(performance.now() - began);
  tally.running--;
}

/** MiB an hour, by least squares over [minute, MiB]. */
function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  const [x, y] = [mean(points.map((point) => point[0])), mean(points.map((point) => point[1]))];
  const over = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return (60 * over) / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}

const [prefill, decode] = await Promise.all(
  ["prefill", "decode"].map((role) => start("bench/lb.ts", "--worker", role, "0")),
);
const engines = [
  "--prefill",
  `http://127.0.0.1:${prefill!.line}`,
  "8998",
  "--decode",
  `http://127.0.0.1:${decode!.line}`,
];
const { child, line } = await start("lb/main.ts", "--host", "127.0.0.1", "--port", "0", ...engines);
const url = `http://127.0.0.1:${(JSON.parse(line) as { port: number }).port}`;

const began = performance.now();
const rows: (string | number)[][] = [];
const points: [number, number][] = [];
let looks = 0;
/** Least bytes resident since the last look: what is held, without what a burst needs. */
let least = holdings(child.pid).resident;
const memory = setInterval(() => {
  least = Math.min(least, holdings(child.pid).resident);
}, SECOND);
console.log(`${RATE} requests a second for ${MINUTES} minutes`);
const timer = setInterval(() => {
  const elapsed = performance.now() - began;
  const due = Math.min(elapsed, MINUTES * MINUTE) * (RATE / 1000);
  while (tally.sent < due) void ask(url, MIX[tally.sent++ % MIX.length]!);
  if (elapsed < looks * MINUTE) return;
  const { resident, descriptors } = holdings(child.pid);
  const times = latencies.length === 0 ? [0] : latencies;
  latencies = [];
  points.push([looks, least / MIB]);
  const [now, low] = [resident, least].map((bytes) => (bytes / MIB).toFixed(1));
  least = resident;
  const [p50, p99] = [0.5, 0.99].map((part) => percentile(times, part).toFixed(1));
  rows.push([looks++, low!, now!, descriptors, tally.done, tally.failed, tally.running, p50!, p99!]);
  console.log(rows.at(-1)!.join("  "));
  if (looks <= MINUTES) return;
  clearInterval(timer);
  clearInterval(memory);
  const head = ["minute", "least MiB", "resident MiB", "descriptors", "done", "failed", "running", "p50 ms", "p99 ms"];
  console.log(table(head, rows));
  const settled = points.slice(Math.floor(points.length * WARM));
  console.log(
    `slope over the last ${settled.length - 1} minutes: ${slope(settled).toFixed(2)} MiB an hour of the least`,
  );
  for (const one of children) one.kill();
}, TICK);
