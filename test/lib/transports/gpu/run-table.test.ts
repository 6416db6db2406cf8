import { describe, expect, test } from "bun:test";
import { type KVLayout, planPages } from "../../../../lib/planner/index.ts";
import { foldRows } from "../../../../lib/transports/gpu/index.ts";

/** The table's arrays without the pinned memory under them. */
function tableOf(runs: readonly (readonly [destination: number, source: number, length: number])[]) {
  return {
    destination: Float64Array.from(runs, ([destination]) => destination),
    source: Float64Array.from(runs, ([, source]) => source),
    length: Float64Array.from(runs, ([, , length]) => length),
  };
}

const rows = (blocks: readonly (readonly [number, number])[], perBlock: number) =>
  blocks.flatMap(([destination, source]) =>
    Array.from({ length: perBlock }, (_, row) => [destination + row * 512, source + row * 1024, 256] as const),
  );

describe("folding the runs of a turn into rows", () => {
  test("equal blocks of rows are folded to their beginnings", () => {
    const blocks = [
      [100_000, 5_000_000],
      [300_000, 4_000_000],
      [200_000, 6_000_000],
    ] as const;
    const table = tableOf(rows(blocks, 16));
    expect(foldRows(table)).toEqual({ blocks: 3, rows: 16, rowBytes: 256, destinationPitch: 512, sourcePitch: 1024 });
    expect([...table.destination.subarray(0, 3)]).toEqual([100_000, 300_000, 200_000]);
    expect([...table.source.subarray(0, 3)]).toEqual([5_000_000, 4_000_000, 6_000_000]);
  });

  const block = rows([[100_000, 5_000_000]], 16);
  const changed = (at: number, run: readonly [number, number, number]) => block.map((one, i) => (i === at ? run : one));
  test.each([
    ["one row is longer", changed(9, [100_000 + 9 * 512, 5_000_000 + 9 * 1024, 512])],
    ["one row is elsewhere", changed(15, [7, 5_000_000 + 15 * 1024, 256])],
    ["blocks are of unequal size", [...block, ...rows([[900_000, 9_000_000]], 5)]],
    ["runs overlap in the destination", Array.from({ length: 8 }, (_, i) => [i * 8, i * 512, 256] as const)],
    ["there are too few to be worth it", block.slice(0, 3)],
  ])("nothing is folded where %s", (_, runs) => {
    const table = tableOf(runs);
    expect(foldRows(table)).toBeUndefined();
    expect([...table.destination]).toEqual(runs.map(([destination]) => destination));
  });

  test("a plan between ranks of different tensor-parallel size folds into a block a page and buffer, byte for byte", () => {
    const layout = (tpSize: number, tpRank: number, base: number): KVLayout => {
      const kvHeads = 4 / tpSize;
      const itemBytes = 16 * kvHeads * 128;
      const buffer = (kind: "k" | "v", index: number) => ({
        kind,
        layer: 0,
        address: base + index * 1_000_000,
        length: 64 * itemBytes,
        itemBytes,
      });
      return {
        pageSize: 16,
        attention: "mha",
        totalKvHeads: 4,
        kvHeads,
        tpRank,
        tpSize,
        ppRank: 0,
        ppSize: 1,
        firstLayer: 0,
        lastLayer: 1,
        dtype: "bf16",
        buffers: [buffer("k", 0), buffer("v", 1)],
        aux: [],
      };
    };
    const plan = planPages({
      source: layout(1, 0, 10_000_000),
      destination: layout(2, 1, 50_000_000),
      sourcePages: Int32Array.of(5, 2, 9),
      destinationPages: Int32Array.of(1, 30, 7),
    });
    const table = tableOf(
      Array.from({ length: plan.writeCount }, (_, i) => [
        plan.destination[i]!,
        plan.segmentSource[i]!,
        plan.length[i]!,
      ]),
    );
    const before = { destination: [...table.destination], source: [...table.source] };
    const pattern = foldRows(table)!;
    expect(pattern).toMatchObject({ blocks: 6, rows: 16, rowBytes: 256 });
    const unfolded = (starts: Float64Array, pitch: number): number[] =>
      [...starts.subarray(0, pattern.blocks)].flatMap((from) =>
        Array.from({ length: pattern.rows }, (_, row) => from + row * pitch),
      );
    expect(unfolded(table.destination, pattern.destinationPitch)).toEqual(before.destination);
    expect(unfolded(table.source, pattern.sourcePitch)).toEqual(before.source);
  });
});
