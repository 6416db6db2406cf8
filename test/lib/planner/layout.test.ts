import { expect, test } from "bun:test";
import {
  checkLayout,
  type KVLayout,
  kvLayoutSchema,
  pairLayouts,
  planAux,
  planPages,
} from "../../../lib/planner/index.ts";

function layout(changes: Partial<KVLayout> = {}): KVLayout {
  const buffers = (["k", "v"] as const).map((kind, i) => ({
    kind,
    layer: 3,
    address: i * 1000,
    length: 640,
    itemBytes: 64,
  }));
  return {
    pageSize: 4,
    attention: "mha",
    totalKvHeads: 4,
    kvHeads: 2,
    tpRank: 1,
    tpSize: 2,
    ppRank: 0,
    ppSize: 1,
    firstLayer: 3,
    lastLayer: 4,
    dtype: "bfloat16",
    buffers,
    aux: [{ address: 5000, length: 128, itemBytes: 64 }],
    ...changes,
  };
}

const [keys, values] = layout().buffers as [KVLayout["buffers"][number], KVLayout["buffers"][number]];

test("a layout survives JSON", () => {
  const parsed = kvLayoutSchema.parse(JSON.parse(JSON.stringify(layout())));
  expect(parsed).toEqual(layout());
});

test("what is no layout is refused at the edge", () => {
  const { dtype: _dtype, ...incomplete } = layout();
  for (const wrong of [
    incomplete,
    { ...layout(), surprise: 1 },
    layout({ pageSize: 0 }),
    layout({ tpSize: 1.5 }),
    layout({ buffers: [{ ...keys, address: 2 ** 53 }, values] }),
    layout({ buffers: [{ ...keys, address: -1 }, values] }),
    layout({ buffers: [keys] }),
  ]) {
    expect(kvLayoutSchema.safeParse(wrong).success).toBe(false);
  }
});

test("a layout that contradicts itself is refused, saying where", () => {
  for (const [changes, message] of [
    [{ tpRank: 2 }, "tpRank: expected less than 2, came 2"],
    [{ ppRank: 1 }, "ppRank: expected less than 1, came 1"],
    [{ lastLayer: 3 }, "lastLayer: expected more than 3, came 3"],
    [{ attention: "mla" }, "totalKvHeads of an MLA layout: expected 1, came 4"],
    [{ kvHeads: 4 }, "kvHeads of this rank: expected 2, came 4"],
    [
      { buffers: [keys, { ...values, kind: "latent" }] },
      "kind of latent buffer of layer 3: expected k or v, came latent",
    ],
    [{ buffers: [keys, { ...values, layer: 4 }] }, "layer of v buffer of layer 4: expected 3 to 3, came 4"],
    [{ buffers: [keys, keys] }, "k buffer of layer 3: expected one buffer, came two"],
    [{ buffers: [keys] }, "number of buffers: expected 2 (k, v for every layer), came 1"],
    [
      { buffers: [keys, { ...values, itemBytes: 60 }] },
      "itemBytes of v buffer of layer 3: expected a multiple of 4 tokens x 2 heads, came 60",
    ],
    [{ buffers: [keys, { ...values, length: 63 }] }, "length of v buffer of layer 3: expected at least 64, came 63"],
    [
      { buffers: [keys, { ...values, address: Number.MAX_SAFE_INTEGER }] },
      "end of v buffer of layer 3: expected an address below 2^53, came 9007199254741632",
    ],
    [
      { buffers: [keys, { ...values, length: 2 ** 40 }] },
      "pages of v buffer of layer 3: expected at most 67108864, came 17179869184",
    ],
    [{ aux: [{ address: 0, length: 10, itemBytes: 64 }] }, "length of aux buffer 0: expected at least 64, came 10"],
  ] as const satisfies readonly (readonly [Partial<KVLayout>, string])[]) {
    expect(() => checkLayout(layout(changes))).toThrow(expect.objectContaining({ code: "INVALID_LAYOUT", message }));
    expect(kvLayoutSchema.safeParse(layout(changes)).error?.issues[0]?.message).toBe(message);
  }
});

test("two layouts that do not fit are refused, saying which side has what", () => {
  const other = (changes: Partial<KVLayout>): KVLayout => ({ ...layout(), ...changes });
  const wide = [keys, values].map((one) => ({ ...one, itemBytes: 128 }));
  for (const [changes, message] of [
    [{ pageSize: 2 }, "pageSize: expected the destination's 2, came 4"],
    [{ dtype: "float16" }, "dtype: expected the destination's float16, came bfloat16"],
    [{ totalKvHeads: 8, kvHeads: 4 }, "totalKvHeads: expected the destination's 8, came 4"],
    [{ buffers: wide }, "bytes per token and head of the k buffer of layer 3: expected the destination's 16, came 8"],
    [{ aux: [] }, "number of aux buffers: expected the destination's 0, came 1"],
    [
      { aux: [{ address: 0, length: 128, itemBytes: 32 }] },
      "itemBytes of aux buffer 0: expected the destination's 32, came 64",
    ],
  ] as const satisfies readonly (readonly [Partial<KVLayout>, string])[]) {
    expect(() => pairLayouts(layout(), other(changes))).toThrow(
      expect.objectContaining({ code: "LAYOUT_MISMATCH", message }),
    );
  }
  const latent = layout({
    attention: "mla",
    totalKvHeads: 1,
    kvHeads: 1,
    buffers: [{ ...keys, kind: "latent" }],
  });
  expect(() => pairLayouts(layout(), latent)).toThrow("attention: expected the destination's mla, came mha");
});

test("sides that share no layer or no head have nothing to plan", () => {
  const lists = { sourcePages: Int32Array.of(1), destinationPages: Int32Array.of(2) };
  const later = layout({ firstLayer: 4, lastLayer: 5, buffers: [keys, values].map((one) => ({ ...one, layer: 4 })) });
  expect(planPages({ source: layout(), destination: later, ...lists }).writeCount).toBe(0);
  expect(planPages({ source: layout(), destination: layout({ tpRank: 0 }), ...lists }).writeCount).toBe(0);
  expect(planPages({ source: layout(), destination: layout(), ...lists }).writeCount).toBe(2);
});

test("options and slots out of range are refused, saying what is allowed", () => {
  const sides = { source: layout(), destination: layout({ aux: [{ address: 0, length: 64, itemBytes: 64 }] }) };
  const lists = { sourcePages: Int32Array.of(1), destinationPages: Int32Array.of(2) };
  for (const [call, code, message] of [
    [
      () => planPages({ ...sides, ...lists, gatherLimit: 0 }),
      "INVALID_OPTION",
      "gatherLimit: expected 1 or more, came 0",
    ],
    [
      () => planPages({ ...sides, ...lists, maxWriteBytes: Number.NaN }),
      "INVALID_OPTION",
      "maxWriteBytes: expected 1 or more, came NaN",
    ],
    [
      () => planPages({ ...sides, ...lists, destinationBases: new Float64Array(2) }),
      "INVALID_OPTION",
      "number of destinationBases: expected 3, came 2",
    ],
    [
      () => planAux({ ...sides, sourceIndex: 2, destinationIndex: 0 }),
      "AUX_OUT_OF_RANGE",
      "source aux index: expected 0 to 1, came 2",
    ],
    [
      () => planAux({ ...sides, sourceIndex: 1, destinationIndex: 1 }),
      "AUX_OUT_OF_RANGE",
      "destination aux index: expected 0 to 0, came 1",
    ],
    [
      () => planAux({ ...sides, sourceIndex: -1, destinationIndex: 0 }),
      "AUX_OUT_OF_RANGE",
      "source aux index: expected 0 to 1, came -1",
    ],
  ] as const) {
    expect(call).toThrow(expect.objectContaining({ code, message }));
  }
});
