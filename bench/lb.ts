/**
 * What the load balancer costs: mock prefill and decode servers, a closed-loop client, and the load balancer as a user runs
 * it, each a process of its own. `bun bench/lb.ts [seconds per case]`. The column that can be compared on a busy
 * machine is requests per second of processor time that the load balancer used; beside it stands the same load sent
 * straight to decode.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Socket, Subprocess } from "bun";

const SECONDS = Number(process.argv[2] ?? 3);
const ROOT = join(import.meta.dir, "..");
const WHOLE = JSON.stringify({
  text: "hello world",
  output_ids: [1],
  meta_info: { id: "x", finish_reason: { type: "length", length: 1 }, prompt_tokens: 11 },
});

interface Case {
  readonly name: string;
  readonly connections: number;
  /** Tokens of a stream; 0 for a whole answer. */
  readonly tokens: number;
  readonly promptBytes: number;
  /** ms that prefill's answer comes after decode has begun to stream. */
  readonly late: boolean;
}

const CASES: readonly Case[] = [
  { name: "short, one at a time", connections: 1, tokens: 0, promptBytes: 0, late: false },
  { name: "short, 64 at once", connections: 64, tokens: 0, promptBytes: 0, late: false },
  { name: "streams of 100 tokens, 16 at once", connections: 16, tokens: 100, promptBytes: 0, late: false },
  { name: "bodies of 64 KiB, 8 at once", connections: 8, tokens: 0, promptBytes: 65_536, late: false },
  { name: "prefill answers 200 ms late", connections: 4, tokens: 5, promptBytes: 0, late: true },
  { name: "2,048 streams at once", connections: 2048, tokens: 20, promptBytes: 0, late: false },
];

/** A mock engine: answers at once, prefill after `delay` ms. Prints its port. */
function worker(role: string, delay: number): void {
  const head = (extra: string): string => `HTTP/1.1 200 OK\r\ncontent-type: ${extra}\r\n\r\n`;
  const whole = head(`application/json\r\ncontent-length: ${WHOLE.length}`) + WHOLE;
  const answer = (socket: Socket<{ buffer: Buffer }>, body: string): void => {
    if (role === "prefill" || !body.includes('"stream":true')) {
      socket.write(whole);
      return;
    }
    const tokens = Number(/"max_new_tokens":(\d+)/.exec(body)?.[1] ?? 1);
    socket.write(head("text/event-stream\r\ntransfer-encoding: chunked"));
    for (let i = 0; i < tokens; i++) {
      const event = `data: {"text":"token${i}","output_ids":[1],"meta_info":{"id":"x","finish_reason":null,"completion_tokens":${i}}}\n\n`;
      socket.write(`${event.length.toString(16)}\r\n${event}\r\n`);
    }
    socket.write("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
  };
  const listener = Bun.listen<{ buffer: Buffer }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: (socket) => {
        socket.data = { buffer: Buffer.alloc(0) };
        socket.setNoDelay(true);
      },
      data: (socket, bytes) => {
        const buffer = socket.data.buffer.length === 0 ? bytes : Buffer.concat([socket.data.buffer, bytes]);
        const end = buffer.indexOf("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(buffer.toString("latin1", 0, Math.max(0, end)))?.[1] ?? 0);
        if (end < 0 || buffer.length < end + 4 + length) {
          socket.data.buffer = buffer;
          return;
        }
        socket.data.buffer = Buffer.alloc(0);
        const body = buffer.toString("latin1", end + 4);
        if (delay > 0) setTimeout(() => answer(socket, body), delay);
        else answer(socket, body);
      },
      error: () => undefined,
    },
  });
  console.log(listener.port);
}

interface Result {
  readonly requests: number;
  readonly failures: number;
  readonly seconds: number;
  readonly latency: readonly number[];
  readonly firstToken: readonly number[];
}

/** Sends requests over `connections` sockets, each the next as soon as one is answered. Prints a Result. */
async function client(port: number, load: Case): Promise<void> {
  const prompt =
    load.promptBytes === 0
      ? '"text":"Let me tell you a lonnng story "'
      : `"input_ids":[1${",12345".repeat(load.promptBytes / 6)}]`;
  const body = `{${prompt},"sampling_params":{"temperature":0,"max_new_tokens":${load.tokens || 1}},"stream":${load.tokens > 0}}`;
  const request = Buffer.from(
    `POST /generate HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  const latency: number[] = [];
  const firstToken: number[] = [];
  let failures = 0;
  const ending = load.tokens > 0 ? "0\r\n\r\n" : "}}";
  const until = performance.now() + SECONDS * 1000;
  const started = performance.now();
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      let sentAt = 0;
      let first = 0;
      let ok = true;
      let unsent: Buffer | undefined;
      const send = (socket: Socket): void => {
        [sentAt, first, ok] = [performance.now(), 0, true];
        push(socket, request);
      };
      const push = (socket: Socket, bytes: Buffer): void => {
        const sent = Math.max(0, socket.write(bytes));
        unsent = sent < bytes.length ? bytes.subarray(sent) : undefined;
      };
      const leave = (): void => resolve();
      void Bun.connect({
        hostname: "127.0.0.1",
        port,
        socket: {
          open: send,
          drain: (socket) => {
            if (unsent !== undefined) push(socket, unsent);
          },
          data: (socket, bytes) => {
            if (first === 0) {
              ok = bytes.includes(" 200 ");
              first = performance.now();
            }
            if (!bytes.subarray(-8).includes(ending)) return;
            if (ok) {
              latency.push(performance.now() - sentAt);
              firstToken.push(first - sentAt);
            } else failures++;
            if (performance.now() < until) send(socket);
            else socket.end();
          },
          close: leave,
          error: leave,
          connectError: leave,
        },
      }).catch(leave);
    });
  await Promise.all(Array.from({ length: load.connections }, one));
  const result: Result = {
    requests: latency.length,
    failures,
    seconds: (performance.now() - started) / 1000,
    latency: quantiles(latency),
    firstToken: quantiles(firstToken),
  };
  console.log(JSON.stringify(result));
}

function quantiles(values: number[]): number[] {
  const sorted = values.sort((a, b) => a - b);
  return [0.5, 0.99].map((part) => sorted[Math.floor(part * (sorted.length - 1))] ?? 0);
}

/** Seconds of processor time and bytes resident, from proc(5). */
function usage(pid: number): { cpu: number; resident: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { cpu: (Number(fields[11]) + Number(fields[12])) / 100, resident: Number(fields[21]) * 4096 };
}

type Child = Subprocess<"ignore", "pipe", "inherit">;
const children: Child[] = [];

function start(...args: string[]): Child {
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  children.push(child);
  return child;
}

async function firstLine(child: Child): Promise<string> {
  const { value } = await child.stdout.getReader().read();
  return Buffer.from(value ?? [])
    .toString()
    .split("\n")[0]!;
}

/** A pair of engines and a load balancer in front of them. */
async function cluster(delay: number): Promise<{ lb: Child; port: number; direct: number }> {
  const [prefill, direct] = await Promise.all(
    ["prefill", "decode"].map(async (role) =>
      Number(await firstLine(start(import.meta.path, "--worker", role, String(role === "prefill" ? delay : 0)))),
    ),
  );
  const lb = start(
    "lb/main.ts",
    "--host",
    "127.0.0.1",
    "--port",
    "0",
    "--prefill",
    `http://127.0.0.1:${prefill}`,
    "8998",
    "--decode",
    `http://127.0.0.1:${direct}`,
  );
  const { port } = JSON.parse(await firstLine(lb)) as { port: number };
  return { lb, port, direct: direct! };
}

async function measure(port: number, index: number): Promise<Result> {
  const child = start(import.meta.path, String(SECONDS), "--client", String(port), String(index));
  return JSON.parse(await new Response(child.stdout).text()) as Result;
}

async function main(): Promise<void> {
  const plain = await cluster(0);
  const late = await cluster(200);
  const rows: Record<string, string | number>[] = [];
  for (const [index, load] of CASES.entries()) {
    const { lb, port, direct } = load.late ? late : plain;
    const straight = await measure(direct, index);
    const before = usage(lb.pid);
    const result = await measure(port, index);
    const after = usage(lb.pid);
    const cpu = Math.max(0.01, after.cpu - before.cpu);
    const streams = load.tokens > 0;
    rows.push({
      case: load.name,
      "req/s": Math.round(result.requests / result.seconds),
      "req/cpu-s": Math.round(result.requests / cpu),
      "tokens/cpu-s": streams ? Math.round((result.requests * load.tokens) / cpu) : "",
      "p50 ms": (streams ? result.firstToken : result.latency)[0]!.toFixed(3),
      "p99 ms": (streams ? result.firstToken : result.latency)[1]!.toFixed(3),
      "direct p50 ms": (streams ? straight.firstToken : straight.latency)[0]!.toFixed(3),
      "resident MiB": Math.round(after.resident / 2 ** 20),
      failures: result.failures,
    });
  }
  console.log(`${SECONDS} s a case; p50 and p99 are to the first byte for streams, to the last otherwise`);
  console.table(rows);
  for (const child of children) child.kill();
}

const mode = process.argv.indexOf("--worker");
const asClient = process.argv.indexOf("--client");
if (mode > 0) worker(process.argv[mode + 1]!, Number(process.argv[mode + 2]));
else if (asClient > 0) await client(Number(process.argv[asClient + 1]), CASES[Number(process.argv[asClient + 2])]!);
else await main();
