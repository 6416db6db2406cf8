export type Factors<Row> = { readonly [Name in keyof Row]: readonly Row[Name][] };

/** All combinations of the factors' values. */
export function everyCombination<Row extends object>(factors: Factors<Row>): Row[] {
  const names = Object.keys(factors) as (keyof Row)[];
  return names.reduce<Row[]>(
    (rows, name) => rows.flatMap((row) => factors[name].map((value) => ({ ...row, [name]: value }))),
    [{} as Row],
  );
}

/** Few combinations in which each value of a factor meets each value of every other one. */
export function pairwise<Row extends object>(factors: Factors<Row>): Row[] {
  const left = new Set(everyCombination(factors).flatMap(pairsOf));
  const rows: Row[] = [];
  while (left.size > 0) {
    const gain = (row: Row): number => pairsOf(row).filter((pair) => left.has(pair)).length;
    const best = everyCombination(factors).reduce((a, b) => (gain(b) > gain(a) ? b : a));
    for (const pair of pairsOf(best)) left.delete(pair);
    rows.push(best);
  }
  return rows;
}

function pairsOf(row: object): string[] {
  const cells = Object.entries(row).map(([name, value]) => `${name}=${value}`);
  return cells.flatMap((a, i) => cells.slice(i + 1).map((b) => `${a} ${b}`));
}
