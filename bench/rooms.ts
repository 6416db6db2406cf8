/**
 * What a room costs besides its bytes: one page of 4 KiB from `receiver.init` to Success on both sides, between two
 * processes of this host: one after the other, after a rest, first of all, and while a room of 256 MiB is under way.
 * `bun run bench:rooms [transport…]`.
 */
import { KVPoll } from "../lib/index.ts";
import { RoomPair, type Sample } from "./rooms/pair.ts";
import { median, percentile, table } from "./table.ts";

const ROOMS = 1_000;
const RESTED_ROOMS = 60;
/** As long as a request of an engine takes at least: processors have gone to sleep, and caches are others'. */
const REST_MS = 20;
const STARTS = 7;
const LARGE_ROOMS = 3;
const transports = process.argv.length > 2 ? process.argv.slice(2) : ["shm", "cma", "tcp"];

async function firstRoom(transport: string): Promise<number> {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/rooms/first.ts`, transport]);
  const [printed, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (code !== 0) throw new Error(`the first room over ${transport} was not measured: exit code ${code}`);
  return Number(printed);
}

interface Measured {
  readonly alone: readonly Sample[];
  readonly rested: readonly number[];
  readonly firsts: readonly number[];
  readonly beside: readonly number[];
}

async function measure(transport: string): Promise<Measured> {
  const firsts: number[] = [];
  for (let start = 0; start < STARTS; start++) firsts.push(await firstRoom(transport));
  const pair = await RoomPair.open(transport);
  const alone: Sample[] = [];
  for (let room = 0; room < ROOMS; room++) alone.push(await pair.one(room));
  const rested: number[] = [];
  for (let room = 0; room < RESTED_ROOMS; room++) {
    await Bun.sleep(REST_MS);
    rested.push((await pair.one(room)).whole);
  }
  const beside: number[] = [];
  for (let round = 0; round < LARGE_ROOMS; round++) {
    using large = await pair.large();
    while (large.poll() !== KVPoll.Success) beside.push((await pair.one(beside.length)).whole);
  }
  await pair.close();
  return { alone, rested, firsts, beside };
}

const rows: (string | number)[][] = [];
for (const transport of transports) {
  const { alone, rested, firsts, beside } = await measure(transport);
  const whole = alone.map((sample) => sample.whole);
  const p50 = median(whole);
  const p99 = percentile(whole, 0.99);
  const ratio = (value: number, to: number): string => (value / to).toFixed(1);
  rows.push([
    transport,
    Math.round(p50),
    Math.round(median(alone.map(({ asked }) => asked))),
    Math.round(median(alone.map(({ written }) => written))),
    Math.round(p99),
    ratio(p99, p50),
    Math.round(median(rested)),
    Math.round(median(firsts)),
    ratio(median(firsts), p50),
    ratio(median(firsts), median(rested)),
    Math.round(percentile(beside, 0.99)),
    beside.length,
  ]);
}
const after = [`p50 after ${REST_MS} ms`, "first", "of p50", "of p50 after a rest"];
const head = ["transport", "p50", "asked to arrived", "written", "p99", "of p50", ...after];
console.log(
  `one page of 4 KiB, from receiver.init to Success on both sides; microseconds of ${ROOMS} rooms, ${STARTS} starts`,
);
console.log(table([...head, "p99 beside 256 MiB", "rooms beside"], rows));
