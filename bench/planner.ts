/**
 * How many writes a second the planner plans, on one thread. Target: 10 million, fragmented and contiguous.
 * A figure counts everything a chunk pays: checking the page lists, finding runs, laying them over all buffers.
 */
import { type KVLayout, planPages, type WritePlan } from "../lib/planner/index.ts";
import { interleaved, median, table } from "./table.ts";

const LAYERS = 32;
const PAGE_SIZE = 16;
const POOL_PAGES = 65_536;
const HEADS = 8;
const ROW_BYTES = 256;
const TARGET = 10;
const ROUNDS = 9;
const ROUND_MS = 60;

function layout(tpSize: number, tpRank: number): KVLayout {
  const kvHeads = HEADS / tpSize;
  const itemBytes = PAGE_SIZE * kvHeads * ROW_BYTES;
  const length = itemBytes * POOL_PAGES;
  const kinds = ["k", "v"] as const;
  return {
    pageSize: PAGE_SIZE,
    attention: "mha",
    totalKvHeads: HEADS,
    kvHeads,
    tpRank,
    tpSize,
    ppRank: 0,
    ppSize: 1,
    firstLayer: 0,
    lastLayer: LAYERS,
    dtype: "bfloat16",
    buffers: kinds.flatMap((kind, half) =>
      Array.from({ length: LAYERS }, (_, layer) => ({
        kind,
        layer,
        address: 0x7f00_0000_0000 + (half * LAYERS + layer) * length,
        length,
        itemBytes,
      })),
    ),
    aux: [],
  };
}

/** `count` different pages in no order, the same ones in every run of this program. */
function scattered(count: number, seed: number): Int32Array {
  const pages = Int32Array.from({ length: POOL_PAGES }, (_, page) => page);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const j = i + (state % (POOL_PAGES - i));
    [pages[i], pages[j]] = [pages[j]!, pages[i]!];
  }
  return pages.slice(0, count);
}

const consecutive = (count: number, first: number): Int32Array =>
  Int32Array.from({ length: count }, (_, i) => first + i);

/** Pages in runs of `run`, as an allocator hands them out after some use. */
function inRuns(count: number, run: number, seed: number): Int32Array {
  const starts = scattered(count / run, seed).map((page) => page % (POOL_PAGES / run));
  const different = Int32Array.from(new Set(starts));
  return Int32Array.from(
    { length: different.length * run },
    (_, i) => different[Math.floor(i / run)]! * run + (i % run),
  );
}

const whole = layout(1, 0);
const half = layout(2, 1);
const runsOf8 = inRuns(2048, 8, 5);
const cases: Readonly<Record<string, () => WritePlan>> = {
  "fragmented, 2,048 pages": plan(whole, scattered(2048, 1), scattered(2048, 2)),
  "fragmented, 16 pages": plan(whole, scattered(16, 3), scattered(16, 4)),
  "contiguous, runs of 8 pages": plan(whole, runsOf8, consecutive(runsOf8.length, 100)),
  "contiguous, 1 run of 256 pages": plan(whole, consecutive(256, 7), consecutive(256, 900)),
  "contiguous, 1 run of 2,048 pages": plan(whole, consecutive(2048, 7), consecutive(2048, 900)),
  "head slices 1 to 2, 64 pages": plan(half, scattered(64, 6), scattered(64, 7)),
  "gathered by 30, 2,048 pages": plan(whole, scattered(2048, 8), consecutive(2048, 900), 30),
};

function plan(
  destination: KVLayout,
  sourcePages: Int32Array,
  destinationPages: Int32Array,
  gatherLimit = 1,
): () => WritePlan {
  const source = layout(1, 0);
  return () => planPages({ source, destination, sourcePages, destinationPages, gatherLimit });
}

/** Nanoseconds a plan, its arrays made, over at least {@link ROUND_MS}. */
function timePlan(make: () => WritePlan): number {
  const start = Bun.nanoseconds();
  let plans = 0;
  let elapsed = 0;
  do {
    if (make().destination.length > 0) plans++;
    elapsed = Bun.nanoseconds() - start;
  } while (elapsed < ROUND_MS * 1e6);
  return elapsed / plans;
}

const timed = Object.fromEntries(Object.entries(cases).map(([name, make]) => [name, () => timePlan(make)]));
interleaved(timed, 2);
const figures = interleaved(timed, ROUNDS);

console.log(
  `Planner: ${LAYERS} layers, K and V, pages of ${PAGE_SIZE} tokens; medians of ${ROUNDS} interleaved runs, one thread\n`,
);
console.log(
  table(
    [
      "case",
      "writes",
      "segments",
      "us per plan",
      "million segments/s",
      "million writes/s",
      "slowest run",
      "of the target",
    ],
    Object.entries(cases).map(([name, make]) => {
      const { writeCount, segmentCountTotal } = make();
      const nanos = median(figures[name]!);
      const perSecond = (count: number, each: number): number => Number(((count / each) * 1e3).toFixed(1));
      return [
        name,
        writeCount,
        segmentCountTotal,
        Number((nanos / 1e3).toFixed(1)),
        perSecond(segmentCountTotal, nanos),
        perSecond(writeCount, nanos),
        perSecond(writeCount, Math.max(...figures[name]!)),
        `${(((writeCount / nanos) * 1e3) / TARGET).toFixed(1)} x`,
      ];
    }),
  ),
);
