import { PlanError } from "./errors.ts";

/**
 * Runs of pages that are consecutive on both sides: run i moves `pages[i]` pages from page `source[i]` to page
 * `destination[i]`. Runs that adjoin in the destination follow one another.
 */
export type PageRuns = {
  readonly source: Int32Array;
  readonly destination: Int32Array;
  readonly pages: Int32Array;
};

/** Scratch, grown to the longest list seen: there can be as many runs as pages, and there are seldom more than a few. */
let found = { source: new Int32Array(0), destination: new Int32Array(0), pages: new Int32Array(0) };

/**
 * `sourceOf[d + 1]` is 1 + the source page of destination page d, or 0 where nothing goes to d; page -1 and the page
 * behind the last are always 0. Scratch: all zero between calls, which keeps a call's cost at its own pages.
 */
let sourceOf = new Int32Array(0);

/**
 * Finds the fewest runs that pair `sourcePages[i]` with `destinationPages[i]` for every i. The order of the pairs does
 * not matter, so pages taken from the top of a free list downwards merge as well as pages taken upwards.
 * @param sourceCapacity pages of the source; a source page may be sent to several places
 * @param destinationCapacity pages of the destination; none may be written twice
 * @throws PlanError PAGE_COUNT_MISMATCH, PAGE_OUT_OF_RANGE or PAGE_REPEATED
 */
export function pageRuns(
  sourcePages: Int32Array,
  destinationPages: Int32Array,
  sourceCapacity: number,
  destinationCapacity: number,
): PageRuns {
  const total = destinationPages.length;
  if (sourcePages.length !== total) {
    throw new PlanError(
      "PAGE_COUNT_MISMATCH",
      "number of source pages",
      `${total}, as in the destination`,
      sourcePages.length,
    );
  }
  if (found.pages.length < total) {
    found = { source: new Int32Array(total), destination: new Int32Array(total), pages: new Int32Array(total) };
  }
  let count = ascendingRuns(found, sourcePages, destinationPages, sourceCapacity, destinationCapacity);
  if (count < 0) {
    if (sourceOf.length < destinationCapacity + 2) sourceOf = new Int32Array(destinationCapacity + 2);
    fill(sourceOf, sourcePages, destinationPages, sourceCapacity, destinationCapacity);
    count = drain(found, sourceOf, destinationPages);
  }
  return {
    source: found.source.slice(0, count),
    destination: found.destination.slice(0, count),
    pages: found.pages.slice(0, count),
  };
}

/** The common case at a fraction of the cost: pages that only ascend cannot repeat. -1: they do not, or are not legal. */
function ascendingRuns(
  { source, destination, pages }: PageRuns,
  sourcePages: Int32Array,
  destinationPages: Int32Array,
  sourceCapacity: number,
  destinationCapacity: number,
): number {
  const total = destinationPages.length;
  let count = 0;
  let next = 0;
  for (let i = 0; i < total;) {
    const from = sourcePages[i]!;
    const to = destinationPages[i]!;
    let end = i + 1;
    while (end < total && follows(destinationPages, end) && follows(sourcePages, end)) end++;
    const run = end - i;
    if (to < next || to + run > destinationCapacity || from < 0 || from + run > sourceCapacity) return -1;
    source[count] = from;
    destination[count] = to;
    pages[count++] = run;
    next = to + run;
    i += run;
  }
  return count;
}

function follows(pages: Int32Array, index: number): boolean {
  return 1 === pages[index]! - pages[index - 1]!;
}

function fill(
  table: Int32Array,
  sourcePages: Int32Array,
  destinationPages: Int32Array,
  sourceCapacity: number,
  destinationCapacity: number,
): void {
  for (let i = 0; i < destinationPages.length; i++) {
    const from = sourcePages[i]!;
    const to = destinationPages[i]!;
    if (from >= 0 && from < sourceCapacity && to >= 0 && to < destinationCapacity && table[to + 1] === 0) {
      table[to + 1] = from + 1;
      continue;
    }
    for (let j = 0; j < i; j++) table[destinationPages[j]! + 1] = 0;
    if (from < 0 || from >= sourceCapacity) throw outOfRange("source", i, from, sourceCapacity);
    if (to < 0 || to >= destinationCapacity) throw outOfRange("destination", i, to, destinationCapacity);
    throw new PlanError("PAGE_REPEATED", `destination page ${i}`, "a page not named before", to);
  }
}

/** Walks each stretch of destination pages upwards from its lowest page and zeroes the table behind itself. */
function drain({ source, destination, pages }: PageRuns, table: Int32Array, destinationPages: Int32Array): number {
  let count = 0;
  for (let i = 0; i < destinationPages.length; i++) {
    let at = destinationPages[i]! + 1;
    let from = table[at]!;
    // Walked already, or not the lowest of its stretch, whose walk will come by here.
    if (from === 0 || table[at - 1] !== 0) continue;
    while (from !== 0) {
      const start = at;
      const first = from;
      do {
        table[at++] = 0;
        from = table[at]!;
      } while (from === first + at - start);
      source[count] = first - 1;
      destination[count] = start - 1;
      pages[count++] = at - start;
    }
  }
  return count;
}

function outOfRange(side: string, index: number, page: number, capacity: number): PlanError {
  return new PlanError("PAGE_OUT_OF_RANGE", `${side} page ${index}`, `0 to ${capacity - 1}`, page);
}
