/**
 * What RDMA costs from TypeScript: the library's own time to build a write, anywhere; and where there is a device,
 * bandwidth, latency and processor time beside perftest's, same size and depth, in turns. In the virtual machine:
 * `bun run vm -- bun bench/verbs.ts`, or only some of the parts stub, bandwidth, latency, processor.
 */
import { Device } from "../ffi/verbs/index.ts";
import { interleaved, median, pairedRatio, table } from "./table.ts";
import { Pair } from "./verbs/pair.ts";
import { perftest, perftestLatency, type BandwidthTool } from "./verbs/perftest.ts";
import { stubCases } from "./verbs/stub-post.ts";
import { BATCH, type Latency, LATENCY_BYTES, type Operation } from "./verbs/workloads.ts";

const ROUNDS = 7;
const KIB = 1024;
const MIB = KIB * KIB;
const BUILD_TARGET_NS = 100;
/** Runs before the ping-pong is measured: the compiler's threads want the processors that both sides spin on. */
const WARM_UP = 10;

const round = (value: number, digits = 1): number => Number(value.toFixed(digits));

function stubTable(): string {
  interleaved(stubCases, 2);
  const rows = Object.entries(interleaved(stubCases, ROUNDS)).map(([name, figures]) => {
    const nanoseconds = median(figures);
    return [name, round(nanoseconds), round(Math.max(...figures)), `${round(nanoseconds / BUILD_TARGET_NS, 2)} x`];
  });
  return table(["each write of a list of 64", "ns", "slowest run", `of ${BUILD_TARGET_NS} ns`], rows);
}

const streams: readonly (readonly [Operation, BandwidthTool, number])[] = [
  ["write", "ib_write_bw", 4 * KIB],
  ["write", "ib_write_bw", 16 * KIB],
  ["write", "ib_write_bw", 64 * KIB],
  ["write", "ib_write_bw", 256 * KIB],
  ["write", "ib_write_bw", MIB],
  ["read", "ib_read_bw", 64 * KIB],
  ["send", "ib_send_bw", 64 * KIB],
];

/** Enough messages for a run of a fair length on a slow device, in whole batches. */
function countFor(size: number): number {
  const bytes = 16 * MIB;
  return BATCH * Math.max(2, Math.min(60, Math.round(bytes / size / BATCH)));
}

async function bandwidthTable(pair: Pair): Promise<string> {
  const rows = [];
  for (const [operation, tool, size] of streams) {
    const count = countFor(size);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let turn = 0; turn < ROUNDS; turn++) {
      ours.push((size * count) / MIB / (await pair.stream(operation, size, count)));
      theirs.push((await perftest(tool, size, count)).figure);
    }
    rows.push([`${operation} of ${size / KIB} KiB`, tool, ...compare(ours, theirs)]);
  }
  return table(["MiB/s", "beside", "ours", "theirs", "ours, least", "theirs, least", "ratio"], rows);
}

function compare(ours: readonly number[], theirs: readonly number[]): (number | string)[] {
  const least = [round(Math.min(...ours)), round(Math.min(...theirs))];
  return [round(median(ours)), round(median(theirs)), ...least, pairedRatio(ours, theirs).toFixed(3)];
}

async function latencyTable(pair: Pair): Promise<string> {
  const count = 1000;
  const ours: Latency[] = [];
  const theirs: Latency[] = [];
  await pair.latency(WARM_UP * count);
  for (let turn = 0; turn < ROUNDS; turn++) {
    ours.push(await pair.latency(count));
    theirs.push(await perftestLatency(count));
  }
  const rows = (["typical", "average"] as const).map((kind) => {
    const figures = [ours, theirs].map((runs) => runs.map((run) => run[kind]));
    return [`write of ${LATENCY_BYTES} B, ${kind}`, "ib_write_lat", ...compare(figures[0]!, figures[1]!)];
  });
  return table(["us, half a round trip", "beside", "ours", "theirs", "ours, least", "theirs, least", "ratio"], rows);
}

/** Processor time of one write, posted and polled for: what a longer run takes more, so that starting up is left out. */
async function processorTable(pair: Pair): Promise<string> {
  const size = 4 * KIB;
  const [few, many] = [BATCH * 10, BATCH * 110];
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let turn = 0; turn < ROUNDS; turn++) {
    const before = process.cpuUsage();
    await pair.stream("write", size, many - few);
    const { user, system } = process.cpuUsage(before);
    ours.push((user + system) / (many - few));
    const [short, long] = [await perftest("ib_write_bw", size, few), await perftest("ib_write_bw", size, many)];
    theirs.push(((long.processorTime - short.processorTime) * 1e6) / (many - few));
  }
  const row = ["write of 4 KiB, posted and polled for", "ib_write_bw", ...compare(ours, theirs)];
  return table(["us of processor time", "beside", "ours", "theirs", "ours, least", "theirs, least", "ratio"], [row]);
}

const onDevice = { bandwidth: bandwidthTable, latency: latencyTable, processor: processorTable };
const asked = process.argv.slice(2);
const wanted = (part: string): boolean => asked.length === 0 || asked.includes(part);

console.log(`Medians of ${ROUNDS} runs in turns, and of the ratios turn by turn.\n`);
if (wanted("stub")) console.log(`${stubTable()}\n`);
const parts = Object.entries(onDevice).filter(([name]) => wanted(name));
if (Device.list().length === 0) {
  console.log("No RDMA device here: `bun run vm -- bun bench/verbs.ts` measures on soft-RoCE.");
} else {
  for (const [, part] of parts) {
    using pair = await Pair.open();
    pair.pin();
    await pair.stream("write", 4 * KIB, 1024);
    console.log(`${await part(pair)}\n`);
  }
}
