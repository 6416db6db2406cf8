/**
 * What a room costs besides its bytes: one page of 4 KiB from `receiver.init` to Success on both sides, between two
 * processes of this host, alone and while a room of 256 MiB is under way. `bun run bench:rooms [transport…]`.
 */
import { now } from "../lib/clock.ts";
import { KVManager, KVPoll } from "../lib/index.ts";
import { BenchPool } from "./rooms/pool.ts";
import { percentile, table } from "./table.ts";

const PAGE_BYTES = 4_096;
const LARGE_PAGES = 65_536;
const ROOMS = 1_000;
const transports = process.argv.length > 2 ? process.argv.slice(2) : ["shm", "cma", "tcp"];

class Prefill {
  readonly #process;
  readonly #lines = new Map<string, (line: string) => void>();

  constructor(transport: string) {
    const args = [transport, String(PAGE_BYTES), String(LARGE_PAGES + 64)];
    this.#process = Bun.spawn([process.execPath, `${import.meta.dir}/rooms/prefill.ts`, ...args], {
      stdin: "pipe",
      stdout: "pipe",
    });
    void this.#read();
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const chunk of this.#process.stdout) {
      rest += new TextDecoder().decode(chunk);
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 1);
        const key = line.includes(" ") ? line.split(" ").slice(0, 2).join(" ") : "address";
        this.#lines.get(key)?.(line);
      }
    }
  }

  hear(key: string): Promise<string> {
    return new Promise((resolve) => this.#lines.set(key, resolve));
  }

  /** Has a sender made for the room, all of whose pages are given. */
  async open(room: number, pages: number): Promise<void> {
    const ready = this.hear(`ready ${room}`);
    this.#process.stdin.write(`${room} ${pages}\n`);
    await this.#process.stdin.flush();
    await ready;
  }

  close(): void {
    this.#process.kill();
  }
}

/** The same clock in both processes; `process.hrtime` begins anew in each. */
const micros = (): number => now() * 1_000;

/** Microseconds of one room: whole; from decode's announcing it to its arrival; from prefill's first write to its last. */
interface Sample {
  readonly whole: number;
  readonly asked: number;
  readonly written: number;
}

async function measure(transport: string): Promise<{ first: number; alone: Sample[]; beside: number[] }> {
  const prefill = new Prefill(transport);
  const address = await prefill.hear("address");
  const pool = new BenchPool(PAGE_BYTES, LARGE_PAGES + 64);
  const decode = await KVManager.create({ role: "decode", args: pool.args, transport });
  let next = 1;

  async function one(page: number): Promise<Sample> {
    const room = next++;
    const ended = prefill.hear(`done ${room}`);
    await prefill.open(room, 1);
    const receiver = decode.createReceiver({ room, bootstrapAddr: address });
    await receiver.known();
    const from = micros();
    receiver.init([page], room % 7);
    await receiver.done;
    const here = micros() - from;
    const [, , at, written] = (await ended).split(" ").map(Number) as [number, number, number, number];
    const asked = receiver.transferMetric().transferLatencyS * 1e6;
    receiver.clear();
    return { whole: Math.max(here, at * 1_000 - from), asked, written };
  }

  const { whole: first } = await one(0);
  const alone: Sample[] = [];
  for (let i = 0; i < ROOMS; i++) {
    alone.push(await one(i % 32));
  }
  const beside: number[] = [];
  for (let round = 0; round < 3; round++) {
    const room = next++;
    await prefill.open(room, LARGE_PAGES);
    const large = decode.createReceiver({ room, bootstrapAddr: address });
    await large.known();
    large.init(
      Array.from({ length: LARGE_PAGES }, (_, page) => 64 + ((page * 7_919) % LARGE_PAGES)),
      7,
    );
    while (large.poll() !== KVPoll.Success) beside.push((await one(beside.length % 32)).whole);
    large.clear();
  }
  await decode.close();
  prefill.close();
  return { first, alone, beside };
}

const rows: (string | number)[][] = [];
for (const transport of transports) {
  const { first, alone, beside } = await measure(transport);
  const whole = alone.map((sample) => sample.whole);
  const p50 = percentile(whole, 0.5);
  const p99 = percentile(whole, 0.99);
  rows.push([
    transport,
    Math.round(p50),
    Math.round(
      percentile(
        alone.map((sample) => sample.asked),
        0.5,
      ),
    ),
    Math.round(
      percentile(
        alone.map((sample) => sample.written),
        0.5,
      ),
    ),
    Math.round(p99),
    (p99 / p50).toFixed(1),
    Math.round(first),
    (first / p50).toFixed(1),
    Math.round(percentile(beside, 0.99)),
    beside.length,
  ]);
}
const head = ["transport", "p50", "asked to arrived", "written", "p99", "p99/p50", "first", "first/p50"];
console.log(`one page of 4 KiB, from receiver.init to Success on both sides; microseconds of ${ROOMS} rooms`);
console.log(table([...head, "p99 beside 256 MiB", "rooms beside"], rows));
