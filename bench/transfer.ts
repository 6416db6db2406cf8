/**
 * The host transports beside what the machine can do, measured in turns in one run. Two processes on either side, pools
 * of 512 MiB, the same sizes of memory pages and the same kind of sharing; every case is verified byte by byte once.
 */
import { parseArgs } from "node:util";
import { median, percentile, table } from "./table.ts";
import { bytesOf, type Case, makeCases, SINGLE_PAGES } from "./transfer/cases.ts";
import { type Limit, Limits } from "./transfer/limits.ts";
import { Sender } from "./transfer/sender.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "9" },
    /** Memory pages: 2m, 4k or both. */
    pages: { type: "string", default: "2m,4k" },
    transports: { type: "string", default: "shm,cma,tcp" },
    /** On a machine that others use, `best` says more than `median`. */
    statistic: { type: "string", default: "median" },
  },
});
const rounds = Number(options.rounds);
const summary = (rates: readonly number[]): number =>
  options.statistic === "best" ? Math.max(...rates) : median(rates);

interface Yardstick {
  readonly limit: Limit;
  readonly name: string;
  readonly target: number;
}

const yardsticks: Readonly<Record<string, Yardstick>> = {
  shm: { limit: "memcpy", name: "memcpy, one thread", target: 0.85 },
  cma: { limit: "writev", name: "process_vm_writev", target: 0.9 },
  tcp: { limit: "tcp", name: "C sendmsg/recvmsg", target: 0.8 },
};
const names = options.transports.split(",");
const head = ["transport", "case", "limit", "limit is", "kvwire", "ratio", "target"];

function row(name: string, what: string, limit: string, own: string, ratio: number): string[] {
  const { name: limitName, target } = yardsticks[name]!;
  return [name, what, limitName, limit, own, `${ratio.toFixed(2)}${ratio < target ? " !" : ""}`, `>= ${target}`];
}

/** One page from cache to cache: less than the handing over of a batch, so it is no yardstick, only a figure. */
function cachedRow(what: string, limit: string, own: string): string[] {
  return ["shm", what, yardsticks["shm"]!.name, limit, own, "", ""];
}

/** GB/s of one case over every transport. */
async function measureCase(limits: Limits, sender: Sender, one: Case, index: number): Promise<string[][]> {
  const runs = names.map((name) => ({
    name,
    batch: sender.roomOf(name, one),
    limit: [] as number[],
    own: [] as number[],
  }));
  for (const { name } of runs) await sender.verify(name, one);
  const gigabytes = bytesOf(one) / 1e9;
  for (let round = -1; round < rounds; round++) {
    for (const { name, batch, limit, own } of runs) {
      const limitSeconds = await limits.run(yardsticks[name]!.limit, index);
      const ownSeconds = sender.run(name, batch);
      // The first round warms up.
      if (round < 0) continue;
      limit.push(gigabytes / limitSeconds);
      own.push(gigabytes / ownSeconds);
    }
  }
  return runs.map(({ name, limit, own }) => {
    const [bound, speed] = [summary(limit), summary(own)];
    return row(name, one.name, bound.toFixed(2), speed.toFixed(2), speed / bound);
  });
}

/** Microseconds of one page at a time, each waited for. */
async function measurePages(limits: Limits, sender: Sender): Promise<string[][]> {
  const text = (times: readonly number[]): string =>
    `${median(times).toFixed(2)} / ${percentile(times, 0.99).toFixed(2)}`;
  const rows: string[][] = [];
  for (const name of names) {
    const page = sender.pageOf(name);
    for (let i = 0; i < SINGLE_PAGES; i++) sender.run(name, page);
    const limit = await limits.pages(yardsticks[name]!.limit, SINGLE_PAGES);
    const own = Array.from({ length: SINGLE_PAGES }, () => sender.run(name, page) * 1e6);
    if (name === "shm") rows.push(cachedRow("one page", text(limit), text(own)));
    else rows.push(row(name, "one page", text(limit), text(own), median(limit) / median(own)));
  }
  return rows;
}

/** Microseconds a page of pages that are queued together, each a batch of its own, beside as many calls. */
async function measureQueued(limits: Limits, sender: Sender): Promise<string[][]> {
  const runs = names.map((name) => {
    const pages = Array.from({ length: SINGLE_PAGES }, () => sender.pageOf(name));
    return { name, pages, limit: [] as number[], own: [] as number[] };
  });
  for (let round = 0; round < rounds; round++) {
    for (const { name, pages, limit, own } of runs) {
      const calls = await limits.pages(yardsticks[name]!.limit, SINGLE_PAGES);
      limit.push(SINGLE_PAGES / calls.reduce((sum, time) => sum + time, 0));
      own.push(SINGLE_PAGES / (sender.runAll(name, pages) * 1e6));
    }
  }
  return runs.map(({ name, limit, own }) => {
    const [bound, speed] = [summary(limit), summary(own)];
    const cells = [(1 / bound).toFixed(2), (1 / speed).toFixed(2)] as const;
    return name === "shm" ? cachedRow("queued pages", ...cells) : row(name, "queued pages", ...cells, speed / bound);
  });
}

const cases = makeCases();
for (const pages of options.pages.split(",")) {
  const hugePages = pages === "2m";
  using limits = await Limits.start(cases, hugePages);
  using sender = new Sender(hugePages);
  for (const name of names) await sender.connect(name);

  const speeds: string[][] = [];
  for (const [index, one] of cases.entries()) speeds.push(...(await measureCase(limits, sender, one, index)));
  console.log(
    `\n${hugePages ? "2 MiB" : "4 KiB"} memory pages on both sides. GB/s, ${options.statistic} of ${rounds} rounds:`,
  );
  console.log(table(head, speeds));
  console.log(`\n${SINGLE_PAGES} pages of 4 KiB, one after the other. Microseconds, p50 / p99:`);
  console.log(table(head, await measurePages(limits, sender)));
  console.log(
    `\nThe same queued together, beside as many calls. Microseconds a page, ${options.statistic} of ${rounds} rounds:`,
  );
  console.log(table(head, await measureQueued(limits, sender)));
}
process.exit(0);
