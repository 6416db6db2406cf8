import { describe, expect, test } from "bun:test";
import { encodeDirect, encodeDirectRoom, type Frames, parseDirect } from "../../../lib/protocol/index.ts";

const way = { pair: "decode 0.1", from: "decode 0" };
const header = {
  pair: way.pair,
  room: Number.MAX_SAFE_INTEGER,
  tag: 0xffff_ffff,
  auxIndex: 3,
  decodePrefixTokens: 160,
  dummy: true,
  infos: 2,
};
const pages = Int32Array.of(5, 0, 70_000);

/** The numbers of a room's message, some of them changed. */
function roomWith(changed: Record<number, number>): Frames {
  const [type, numbers, rest] = encodeDirectRoom(header, pages);
  const values = new Float64Array(numbers!.buffer);
  for (const [index, value] of Object.entries(changed)) values[Number(index)] = value;
  return [type!, numbers!, rest!];
}

describe("a room told by the pair's own way", () => {
  test("is what was said, of the pair and from the rank at the other end", () => {
    expect(parseDirect(encodeDirectRoom(header, pages), way)).toEqual({
      type: "room",
      from: way.from,
      header,
      pages,
    });
  });

  test("may have no pages, only the aux slot", () => {
    const heard = parseDirect(encodeDirectRoom({ ...header, dummy: false }, new Int32Array(0)), way);
    expect(heard).toMatchObject({ header: { dummy: false }, pages: new Int32Array(0) });
  });

  test.each([
    ["another version", roomWith({ 0: 1 })],
    ["a room beyond 2^53", roomWith({ 1: 2 ** 53 })],
    ["a negative room", roomWith({ 1: -1 })],
    ["a tag of more than 32 bits", roomWith({ 2: 2 ** 32 })],
    ["half an aux slot", roomWith({ 3: 0.5 })],
    ["no number", roomWith({ 4: Number.NaN })],
    ["neither dummy nor not", roomWith({ 5: 2 })],
    ["more ranks than there are", roomWith({ 6: 4_097 })],
    ["no rank that prefill must hear", roomWith({ 6: 0 })],
    ["a number too few", [roomWith({})[0]!, roomWith({})[1]!.slice(8), roomWith({})[2]!]],
    ["page indices of 3 bytes", [roomWith({})[0]!, roomWith({})[1]!, new Uint8Array(3)]],
    ["no pages at all", roomWith({}).slice(0, 2)],
    ["nothing", []],
  ] as [string, Frames][])("is dropped if it has %s", (_, frames) => {
    expect(parseDirect(frames, way)).toBeUndefined();
  });
});

test("what else is told there is taken from the rank at the other end, and from nobody else", () => {
  const frames = encodeDirect("ready", way.from, { pair: way.pair });
  expect(parseDirect(frames, way)).toMatchObject({ type: "ready", from: way.from, header: { pair: way.pair } });
  expect(parseDirect(frames, { ...way, from: "decode 1" })).toBeUndefined();
});
