/**
 * The host transports beside what the machine can do, measured in turns in one run: `bun run bench:transfer`.
 * Two processes each, pools of 512 MiB, every case verified byte by byte once.
 */
import { parseArgs } from "node:util";
import { bytesOf, makeCases, SINGLE_PAGES } from "./transfer/cases.ts";
import { type Limit, Limits } from "./transfer/limits.ts";
import { Sender } from "./transfer/sender.ts";

const { values } = parseArgs({
  options: {
    reps: { type: "string", default: "9" },
    pages: { type: "string", default: "2m,4k" },
    transports: { type: "string", default: "shm,cma,tcp" },
    cases: { type: "string", default: "" },
  },
});
const reps = Number(values.reps);
const transports = values.transports.split(",");
const limitOf: Readonly<Record<string, Limit>> = { shm: "memcpy", cma: "writev", tcp: "tcp" };
const limitNames: Readonly<Record<string, string>> = {
  shm: "memcpy into a memfd",
  cma: "process_vm_writev",
  tcp: "C sendmsg/recvmsg",
};
const targets: Readonly<Record<string, number>> = { shm: 0.85, cma: 0.9, tcp: 0.8 };

const median = (list: readonly number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1]!;
const percentile = (list: readonly number[], share: number): number =>
  list.toSorted((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))]!;
const row = (...cells: readonly string[]): void =>
  console.log(`| ${cells.map((cell, i) => (i < 3 ? cell.padEnd([9, 8, 20][i]!) : cell.padStart(14))).join(" | ")} |`);
const verdict = (ratio: number, target: number): string =>
  `${ratio.toFixed(2)}${ratio >= target ? "" : ` (< ${target})`}`;

row("transport", "case", "limit", "limit", "kvwire", "ratio");
for (const pageSize of values.pages.split(",")) {
  const hugePages = pageSize === "2m";
  console.log(`\n${hugePages ? "2 MiB" : "4 KiB"} pages on both sides; GB/s, medians of ${reps} runs in turns`);
  const cases = makeCases();
  using limits = await Limits.start(cases, hugePages);
  using sender = new Sender(hugePages);
  for (const name of transports) await sender.connect(name);

  for (const [index, one] of cases.entries()) {
    if (values.cases && !values.cases.split(",").includes(one.name)) continue;
    const measured = transports.map((name) => ({
      name,
      batch: sender.roomOf(name, one),
      limit: [] as number[],
      own: [] as number[],
    }));
    for (const { name } of measured) await sender.verify(name, one);
    for (let rep = -1; rep < reps; rep++) {
      for (const { name, batch, limit, own } of measured) {
        const bound = await limits.run(limitOf[name]!, index);
        const time = sender.run(name, batch);
        if (rep < 0) continue;
        limit.push(bytesOf(one) / bound / 1e9);
        own.push(bytesOf(one) / time / 1e9);
      }
    }
    for (const { name, limit, own } of measured) {
      const [bound, speed] = [median(limit), median(own)];
      row(
        name,
        one.name,
        limitNames[name]!,
        bound.toFixed(2),
        speed.toFixed(2),
        verdict(speed / bound, targets[name]!),
      );
    }
  }

  if (values.cases) continue;
  console.log(`one page of 4 KiB, ${SINGLE_PAGES} times; microseconds, p50 / p99`);
  for (const name of transports) {
    const page = sender.pageOf(name);
    for (let i = 0; i < SINGLE_PAGES; i++) sender.run(name, page);
    const bound = name === "shm" ? undefined : await limits.pages(name === "cma" ? "writev" : "tcp", SINGLE_PAGES);
    const own = Array.from({ length: SINGLE_PAGES }, () => sender.run(name, page) * 1e6);
    const text = (list: readonly number[]): string =>
      `${median(list).toFixed(1)} / ${percentile(list, 0.99).toFixed(1)}`;
    const ratio = bound ? verdict(median(bound) / median(own), targets[name]!) : "";
    row(name, "1 page", bound ? limitNames[name]! : "none", bound ? text(bound) : "", text(own), ratio);
  }
}
process.exit(0);
