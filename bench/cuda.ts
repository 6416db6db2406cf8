/**
 * Rooms between GPUs of one host beside what the hardware does with the same bytes in one piece, in turns in one run:
 * `bun run bench:cuda`. Two processes, each with a manager and a pool in device memory; every case is verified by checksums
 * taken on both GPUs. Needs a GPU (two for the peer figures), no network.
 */
import { parseArgs } from "node:util";
import { describeHost, type HostReport } from "../cuda/index.ts";
import { crossover } from "./cuda/crossover.ts";
import { CopyLimit } from "./cuda/limits.ts";
import { BenchPair } from "./cuda/pair.ts";
import { type Arrangement, pagesOf, type PoolShape, shapes } from "./cuda/shapes.ts";
import { median, percentile, table } from "./table.ts";

const { values } = parseArgs({
  options: {
    /** Bytes of a room. */
    mib: { type: "string", default: "1024" },
    rounds: { type: "string", default: "9" },
    small: { type: "string", default: "300" },
    json: { type: "string", default: "bench-cuda.json" },
  },
});
const roomBytes = Number(values.mib) * 2 ** 20;
const rounds = Number(values.rounds);

const WARM_UP = 50;

interface Row {
  readonly path: string;
  readonly pool: string;
  readonly pages: Arrangement;
  readonly way: string;
  readonly gbPerS: number;
  readonly limit: string;
  readonly limitGBs: number;
  readonly ratio: number;
  readonly target: number | undefined;
}

interface Way {
  readonly name: string;
  readonly options: Record<string, unknown>;
  readonly limitTo: number | "host";
}

const rows: Row[] = [];
const fixedCosts: { readonly path: string; readonly p50Us: number; readonly p99Us: number }[] = [];

async function measure(gpus: readonly [number, number], shape: PoolShape, way: Way): Promise<void> {
  const count = Math.floor(roomBytes / (shape.buffers * shape.pageBytes));
  const bytes = count * shape.buffers * shape.pageBytes;
  const path = `GPU ${gpus[0]} to GPU ${gpus[1]}`;
  await using pair = await BenchPair.start(gpus, { shape, pages: 2 * count, options: way.options });
  // The progress threads of a server that has run for a while: their code is compiled.
  const small = await smallRooms(pair, WARM_UP);
  using limit = new CopyLimit([gpus[0], way.limitTo], bytes);
  for (const arrangement of ["contiguous", "fragmented"] as const) {
    const [from, to] = [pagesOf(arrangement, count, 1), pagesOf(arrangement, count, 2)];
    await pair.verify(from, to);
    const own: number[] = [];
    const bound: number[] = [];
    for (let round = -10; round < rounds; round++) {
      const seconds = limit.run();
      const { transferS } = await pair.room(from, to);
      if (round < 0) continue;
      bound.push(bytes / seconds / 1e9);
      own.push(bytes / transferS / 1e9);
    }
    const [gbPerS, limitGBs] = [median(own), median(bound)];
    const judged = way.name === "as chosen" && gpus[0] !== gpus[1];
    const target = judged ? (arrangement === "contiguous" ? 0.95 : shape.target) : undefined;
    rows.push({
      path,
      pool: shape.name,
      pages: arrangement,
      way: way.name,
      gbPerS,
      limit: limit.name,
      limitGBs,
      ratio: gbPerS / limitGBs,
      target,
    });
  }
  if (shape !== shapes[0] || way.name !== "as chosen") return;
  fixedCosts.push({ path, p50Us: median(small), p99Us: percentile(small, 0.99) });
}

/** Microseconds of rooms of one page, one after the other, without the first `warmUp`. */
async function smallRooms(pair: BenchPair, warmUp: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = -warmUp; i < Number(values.small); i++) {
    const { wholeS } = await pair.room([0], [1]);
    if (i >= 0) times.push(wholeS * 1e6);
  }
  return times;
}

function waysTo(gpus: readonly [number, number], shape: PoolShape): Way[] {
  const chosen: Way = { name: "as chosen", options: {}, limitTo: gpus[1] };
  const copies: Way = { name: "copy engines only", options: { kernelBelowBytes: 0 }, limitTo: gpus[1] };
  const staged: Way = { name: "staged", options: { route: "staged" }, limitTo: "host" };
  return shape === shapes[0] ? [chosen, copies, staged] : [chosen];
}

let host: HostReport;
try {
  host = describeHost();
} catch (error) {
  console.error(
    `bench/cuda.ts measures real GPUs and needs one, with its driver, libcudart and NVRTC.\n${String(error)}`,
  );
  process.exit(1);
}
const paths: (readonly [number, number])[] = [[0, 0]];
if (host.devices.length > 1) paths.push([0, 1]);
const about = {
  date: new Date().toISOString(),
  command: ["bun", "bench/cuda.ts", ...process.argv.slice(2)].join(" "),
  devices: host.devices.map(({ name }) => name),
  driver: host.driver.version,
  runtime: host.runtime.version,
  bun: Bun.version,
};
console.log(`${about.devices.join(", ")}; driver for CUDA ${about.driver}, runtime ${about.runtime}; ${about.date}`);
console.log(`rooms of ${values.mib} MiB, medians of ${rounds}, in turns with the limit\n`);

const crossovers = paths.map((gpus) => ({
  path: `GPU ${gpus[0]} to GPU ${gpus[1]}`,
  lengths: crossover(gpus, Math.min(roomBytes, 2 ** 28)),
}));
for (const gpus of paths)
  for (const shape of shapes) for (const way of waysTo(gpus, shape)) await measure(gpus, shape, way);

if (about.devices.some((name) => name.startsWith("kvwire stand-in"))) {
  console.log(`rehearsed on the stand-in: ${rows.length} cases verified; no figure comes from it`);
  process.exit(0);
}
console.log(
  table(
    ["path", "pool", "pages", "way", "GB/s", "limit", "limit GB/s", "ratio", "target"],
    rows.map((row) => [
      row.path,
      row.pool,
      row.pages,
      row.way,
      row.gbPerS.toFixed(1),
      row.limit,
      row.limitGBs.toFixed(1),
      row.ratio.toFixed(3),
      row.target === undefined ? "" : `${row.target}${row.ratio < row.target ? " MISSED" : ""}`,
    ]),
  ),
);
console.log("\na room of one page, from the receiver's call to Success");
console.log(
  table(
    ["path", "p50 µs", "p99 µs"],
    fixedCosts.map(({ path, p50Us, p99Us }) => [path, p50Us.toFixed(0), p99Us.toFixed(0)]),
  ),
);
console.log("\nscattered runs of one length, GB/s: by kernel, by the copy engines");
console.log(
  table(
    ["path", "bytes a run", "kernel", "copies"],
    crossovers.flatMap(({ path, lengths }) =>
      lengths.map(({ runBytes, kernelGBs, copiesGBs }) => [path, runBytes, kernelGBs.toFixed(1), copiesGBs.toFixed(1)]),
    ),
  ),
);
if (host.devices.length < 2) console.log("\nnot run: GPU to GPU (this machine has one GPU)");
await Bun.write(values.json, `${JSON.stringify({ ...about, rows, fixedCosts, crossovers }, undefined, 2)}\n`);
console.log(`\nwritten to ${values.json}`);
