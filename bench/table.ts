/** What every benchmark needs: a median, runs that take turns, a table. @module */

/** The middle value; the mean of the two middle ones where there is an even number. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("median: expected at least one value, came none");
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1]!;
  return sorted.length % 2 === 1 ? upper : (sorted[(sorted.length >> 1) - 1]! + upper) / 2;
}

/**
 * The ratios of two cases' figures that were taken in turns, turn by turn. Where the machine's speed drifts, their median
 * says more than the ratio of the two medians, which may come from different minutes.
 */
export function pairedRatios(ours: readonly number[], theirs: readonly number[]): number[] {
  if (ours.length !== theirs.length) {
    throw new RangeError(`pairedRatios: ${ours.length} figures beside ${theirs.length}`);
  }
  return ours.map((own, turn) => own / theirs[turn]!);
}

/** The middle one of {@link pairedRatios}. */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): number {
  return median(pairedRatios(ours, theirs));
}

/** The value below which `part` (0 to 1) of the values lie, by nearest rank: `percentile(times, 0.99)`. */
export function percentile(values: readonly number[], part: number): number {
  if (values.length === 0) throw new RangeError("percentile: expected at least one value, came none");
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]!;
}

/**
 * Measures each case `rounds` times, in turns, so that whatever else the machine does falls on all of them alike.
 * A case returns its own figure; what comes back are all its figures in order.
 */
export function interleaved<Name extends string>(
  cases: Readonly<Record<Name, () => number>>,
  rounds: number,
): Record<Name, number[]> {
  const names = Object.keys(cases) as Name[];
  const figures = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, number[]>;
  for (let round = 0; round < rounds; round++) for (const name of names) figures[name].push(cases[name]());
  return figures;
}

/** Lines of a table in Markdown, padded so that it reads as well in a terminal. Numbers stand to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows.map((row) => row.map(String))];
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const toRight = head.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === "number"));
  const line = (row: readonly string[]): string =>
    `| ${widths.map((width, column) => (toRight[column] ? (row[column] ?? "").padStart(width) : (row[column] ?? "").padEnd(width))).join(" | ")} |`;
  const rule = widths.map((width, column) => (toRight[column] ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  return [line(head), line(rule), ...cells.slice(1).map(line)].join("\n");
}
