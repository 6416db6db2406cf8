/**
 * Rooms over verbs, beside what the device can do (ib_write_bw) and beside the pyverbs engine's way, in one run on one
 * device: `bun bench/rdma.ts [rounds [part…]]`, parts 16 and 64 (bandwidth by KiB of a page) and rooms; in the virtual
 * machine `bun run vm -- bun bench/rdma.ts`. Needs perftest, python3-pyverbs and python3-zmq. Cases take turns and their
 * medians count; both sides are warm.
 */
import { LAYERS } from "./rdma/pool.ts";
import { pyverbsMethod, type PyverbsResult } from "./rdma/pyverbs-method.ts";
import { requestsOf } from "./rdma/requests.ts";
import { Rooms } from "./rdma/rooms.ts";
import { median, pairedRatios, percentile, table } from "./table.ts";
import { perftest } from "./verbs/perftest.ts";

const [rounds = "7", ...asked] = process.argv.slice(2);
const ROUNDS = Number(rounds);
const parts = asked.length > 0 ? asked : ["16", "64", "rooms"];
const KIB = 1024;
const MIB = KIB * KIB;
const ROOM_BYTES = 64 * MIB;
const SINGLE_ROOMS = 100;

const consecutive = (count: number): number[] => Array.from({ length: count }, (_, page) => page);
/** Every page apart from the one before it: an odd step through a power of two. */
const scattered = (count: number, step: number): number[] => consecutive(count).map((page) => (page * step) % count);
const round = (value: number, digits = 1): number => Number(value.toFixed(digits));

async function bandwidth(pageBytes: number): Promise<(string | number)[][]> {
  const pages = ROOM_BYTES / pageBytes / (2 * LAYERS);
  await using rooms = await Rooms.open(pages, pageBytes);
  const whole = { from: consecutive(pages), to: consecutive(pages) };
  const fragments = { from: scattered(pages, 5), to: scattered(pages, 11) };
  const figures = { whole: [] as number[], fragments: [] as number[], limit: [] as number[], pyverbs: [] as number[] };
  const cases = [
    async () => figures.whole.push((await rooms.run({ count: 1, atOnce: 1, ...whole })).bytesPerSecond / MIB),
    async () => figures.fragments.push((await rooms.run({ count: 1, atOnce: 1, ...fragments })).bytesPerSecond / MIB),
    async () => figures.limit.push((await perftest("ib_write_bw", pageBytes, ROOM_BYTES / pageBytes)).figure),
    async () => figures.pyverbs.push((await pyverbsMethod(pageBytes, pages, 1, 1)).bytesPerSecond / MIB),
  ];
  // Each begins once in a while: a process that has just ended leaves the machine something to clear away.
  for (let turn = 0; turn < ROUNDS; turn++) {
    for (let place = 0; place < cases.length; place++) await cases[(turn + place) % cases.length]!();
  }
  const row = (name: string, values: readonly number[], posted: number | string): (string | number)[] => {
    const ratios = pairedRatios(values, figures.limit);
    const half = [0.25, 0.75].map((part) => percentile(ratios, part).toFixed(2)).join(" to ");
    return [`${pageBytes / KIB} KiB`, name, round(median(values)), round(median(ratios), 2), half, posted];
  };
  return [
    row("ib_write_bw", figures.limit, ROOM_BYTES / pageBytes),
    row("kvwire, one run", figures.whole, requestsOf(pageBytes, pages, whole)),
    row("kvwire, fragments", figures.fragments, requestsOf(pageBytes, pages, fragments)),
    row("pyverbs' way, one run", figures.pyverbs, 2 * LAYERS),
  ];
}

async function roomTimes(): Promise<{ rows: (string | number)[][]; steps: PyverbsResult }> {
  const pageBytes = 16 * KIB;
  await using rooms = await Rooms.open(256, pageBytes);
  const rows: (string | number)[][] = [];
  const row = (name: string, ours: number, theirs: number): void => {
    rows.push([name, round(ours, 0), round(theirs, 0), round(theirs / ours)]);
  };
  const times: Record<"ours" | "theirs", number[]> = { ours: [], theirs: [] };
  const most = 256;
  for (const pages of [1, most]) {
    const count = pages === 1 ? Math.ceil(SINGLE_ROOMS / ROUNDS) : 1;
    const work = { count, atOnce: 1, from: consecutive(pages), to: consecutive(pages) };
    const turns = { ours: [] as number[], theirs: [] as number[] };
    for (let turn = 0; turn < ROUNDS; turn++) {
      turns.ours.push(...(await rooms.run(work)).microseconds);
      turns.theirs.push((await pyverbsMethod(pageBytes, pages, count, 1)).decode.roomMicroseconds);
    }
    const [ours, theirs] = [median(turns.ours), median(turns.theirs)];
    row(`one room of ${pages} ${pages === 1 ? "page" : "pages"}, µs (p50)`, ours, theirs);
    times.ours.push(ours);
    times.theirs.push(theirs);
  }
  // What a room of no pages would take, from those of one and of many.
  const fixed = ([one = 0, many = 0]: readonly number[]): number => one - (many - one) / (most - 1);
  row("of it fixed: without the data, µs", fixed(times.ours), fixed(times.theirs));
  const many = { count: 320, atOnce: 32, from: [0], to: [0] };
  const ours = (await rooms.run(many)).roomsPerSecond;
  const steps = await pyverbsMethod(pageBytes, 1, 64, 32);
  const alone = await pyverbsMethod(pageBytes, 1, SINGLE_ROOMS, 1);
  rows.push([
    "rooms of 1 page a second, 32 at once",
    round(ours),
    round(steps.roomsPerSecond),
    round(ours / steps.roomsPerSecond),
  ]);
  return { rows, steps: alone };
}

async function reportBandwidth(sizes: readonly number[]): Promise<void> {
  const rows = [];
  for (const size of sizes) rows.push(...(await bandwidth(size * KIB)));
  console.log("one room of 64 MiB, 8 layers of K and V; requests, less the aux slot and its notice\n");
  console.log(table(["pages", "", "MiB/s", "of ib_write_bw", "middle half", "requests"], rows));
}

async function reportRooms(): Promise<void> {
  const { rows, steps } = await roomTimes();
  console.log(`\n${table(["pages of 16 KiB", "kvwire", "pyverbs' way", "times"], rows)}`);
  const stepRows = (["decode", "prefill"] as const).flatMap((side) =>
    Object.entries(steps[side].steps).map(([name, microseconds]) => [side, name, round(microseconds, 0)]),
  );
  console.log(`\n${table(["pyverbs' way", "step of a room of 1 page", "µs (p50)"], stepRows)}`);
}

const sizes = [16, 64].filter((size) => parts.includes(String(size)));
if (sizes.length > 0) await reportBandwidth(sizes);
if (parts.includes("rooms")) await reportRooms();
process.exit(0);
