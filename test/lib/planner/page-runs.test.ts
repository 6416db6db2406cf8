import { expect, test } from "bun:test";
import { pageRuns } from "../../../lib/planner/index.ts";
import { range } from "./pool.ts";
import { forSeeds } from "./random.ts";

const pages = (...list: number[]): Int32Array => Int32Array.from(list);

/** Runs as `source>destination*pages`. */
function runs(source: Int32Array, destination: Int32Array, capacity = 100): string[] {
  const found = pageRuns(source, destination, capacity, capacity);
  return Array.from(found.pages, (count, i) => `${found.source[i]}>${found.destination[i]}*${count}`);
}

function failure(call: () => unknown): { code: unknown; message: string } {
  try {
    call();
  } catch (error) {
    return error as { code: unknown; message: string };
  }
  throw new Error("expected a failure, came none");
}

test("pages that follow one another on both sides are one run", () => {
  expect(runs(pages(3, 4, 5), pages(7, 8, 9))).toEqual(["3>7*3"]);
  expect(runs(pages(3, 4, 6), pages(7, 8, 9))).toEqual(["3>7*2", "6>9*1"]);
  expect(runs(pages(3, 4, 5), pages(7, 8, 10))).toEqual(["3>7*2", "5>10*1"]);
  expect(runs(pages(), pages())).toEqual([]);
  expect(runs(pages(99), pages(0))).toEqual(["99>0*1"]);
});

test("pages taken downwards, or in any other order, are the same runs as upwards", () => {
  expect(runs(pages(5, 4, 3), pages(9, 8, 7))).toEqual(["3>7*3"]);
  expect(runs(pages(4, 3, 5), pages(8, 7, 9))).toEqual(["3>7*3"]);
  expect(runs(pages(3, 4, 5), pages(9, 8, 7))).toEqual(["5>7*1", "4>8*1", "3>9*1"]);
  forSeeds(1, 500, (random) => {
    const pairs = random
      .shuffled(range(0, 40))
      .slice(0, random.below(41))
      .sort((a, b) => a - b);
    const sources = pairs.map((page) => page + (random.chance(4) ? 5 : 0));
    const upwards = runs(Int32Array.from(sources), Int32Array.from(pairs));
    const order = random.shuffled(range(0, pairs.length));
    const shuffled = runs(
      Int32Array.from(order, (i) => sources[i]!),
      Int32Array.from(order, (i) => pairs[i]!),
    );
    expect(shuffled.toSorted()).toEqual(upwards.toSorted());
  });
});

test("the first and the last page of a pool larger than any before are pages like others", () => {
  for (const capacity of [10_000, 20_000]) {
    const last = capacity - 1;
    expect(runs(pages(last, last - 1, 0), pages(last, last - 1, 0), capacity)).toEqual([
      `${last - 1}>${last - 1}*2`,
      "0>0*1",
    ]);
  }
});

test("a source page may go to several places", () => {
  expect(runs(pages(3, 3, 4), pages(9, 1, 2))).toEqual(["3>9*1", "3>1*2"]);
});

test("pages that cannot be written are told apart, and leave nothing behind", () => {
  for (const [source, destination, code, message] of [
    [[1, 2], [3], "PAGE_COUNT_MISMATCH", "number of source pages: expected 1, as in the destination, came 2"],
    [[1, 2, 3], [5, 6, 5], "PAGE_REPEATED", "destination page 2: expected a page not named before, came 5"],
    [[1, 2], [5, -1], "PAGE_OUT_OF_RANGE", "destination page 1: expected 0 to 9, came -1"],
    [[1, 2], [5, 10], "PAGE_OUT_OF_RANGE", "destination page 1: expected 0 to 9, came 10"],
    [[1, 2], [10, 5], "PAGE_OUT_OF_RANGE", "destination page 0: expected 0 to 9, came 10"],
    [[-1, 2], [5, 6], "PAGE_OUT_OF_RANGE", "source page 0: expected 0 to 9, came -1"],
    [[1, 10], [5, 6], "PAGE_OUT_OF_RANGE", "source page 1: expected 0 to 9, came 10"],
    [[8, 9, 10], [1, 2, 3], "PAGE_OUT_OF_RANGE", "source page 2: expected 0 to 9, came 10"],
    [[2147483647], [-2147483648], "PAGE_OUT_OF_RANGE", "source page 0: expected 0 to 9, came 2147483647"],
  ] as const) {
    const error = failure(() => runs(pages(...source), pages(...destination), 10));
    expect([error.code, error.message]).toEqual([code, message]);
    expect(runs(pages(9, 8, 7, 0), pages(6, 5, 3, 1), 10)).toEqual(["8>5*2", "7>3*1", "0>1*1"]);
  }
});
