import { describe, expect, test } from "bun:test";
import { transportList, transportOptions } from "../../../../lib/transports/index.ts";
import { KeyTable, mergeRanges } from "../../../../lib/transports/verbs/regions.ts";

describe("the ranges that are registered", () => {
  const buffers = [
    { address: 0x9000, byteLength: 0x1000 },
    { address: 0x1000, byteLength: 0x1000 },
    { address: 0x2000, byteLength: 0x1000 },
    { address: 0x5000, byteLength: 0 },
  ];
  const ranges = mergeRanges(buffers);

  test("are one for buffers that touch", () => {
    expect(ranges).toEqual([
      { address: 0x1000, byteLength: 0x2000 },
      { address: 0x9000, byteLength: 0x1000 },
    ]);
  });

  test("give their key to the bytes that lie in one of them, and to no other", () => {
    const keys = new KeyTable(ranges, [0xffff_fff1, 7]);
    const find = (address: number, byteLength: number): number => keys.find(address, byteLength);
    expect([find(0x1000, 0x2000), find(0x1fff, 2), find(0x9fff, 1), find(0x1000, 1)]).toEqual([
      0xffff_fff1, 0xffff_fff1, 7, 0xffff_fff1,
    ]);
    expect([find(0xfff, 2), find(0x2fff, 2), find(0x5000, 1), find(0x8fff, 2), find(0xa000, 1)]).toEqual([
      -1, -1, -1, -1, -1,
    ]);
    expect(new KeyTable([], []).find(1, 1)).toBe(-1);
  });
});

describe("verbs among the transports", () => {
  test("comes before tcp where the best is asked for, and then not within one host", () => {
    expect(transportList("auto").slice(-2)).toEqual(["verbs", "tcp"]);
    expect(transportOptions("auto", {})).toEqual({ verbs: { withinHost: false } });
    expect(transportOptions(["auto"], { verbs: { device: "mlx5_1" }, tcp: { port: 1 } })).toEqual({
      verbs: { device: "mlx5_1", withinHost: false },
      tcp: { port: 1 },
    });
  });

  test("is for one host, too, where it is asked for by name", () => {
    expect(transportOptions("verbs, tcp", {})).toEqual({});
    expect(transportOptions(["verbs"], { verbs: { port: 2 } })).toEqual({ verbs: { port: 2 } });
  });
});
