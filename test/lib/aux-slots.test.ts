import { expect, test } from "bun:test";
import { Mapping } from "../../ffi/libc/index.ts";
import { AuxSlots } from "../../lib/index.ts";

test("aux slots give back what was written, each its own, padded to 64 bytes", () => {
  using memory = Mapping.allocate(AuxSlots.byteLength(4));
  const slots = new AuxSlots(memory, 4);
  slots.write(2, { room: 2 ** 53 - 1, outputIds: [7], outputTokenLogprobs: [-0.5], outputTopLogprobIds: [1, 2, 3] });
  slots.write(3, { room: 5, outputIds: [8, 9] });
  expect(slots.read(2)).toMatchObject({ room: 2 ** 53 - 1, outputIds: [7, ...Array.from({ length: 15 }, () => 0)] });
  expect(slots.read(2).outputTokenLogprobs[0]).toBe(-0.5);
  expect(slots.read(2).outputTopLogprobIds.slice(0, 4)).toEqual([1, 2, 3, 0]);
  expect(slots.read(3).outputIds.slice(0, 3)).toEqual([8, 9, 0]);
  slots.clear(2);
  expect(slots.read(2).room).toBe(0);
  expect(slots.read(3).room).toBe(5);
  expect(slots.args.auxItemLens.every((bytes) => bytes % 64 === 0)).toBe(true);
  expect(slots.args.auxDataPtrs).toHaveLength(slots.args.auxItemLens.length);
});

test("slots that are not there, lists that are too long and memory that is too small are typed errors", () => {
  using memory = Mapping.allocate(AuxSlots.byteLength(1));
  const slots = new AuxSlots(memory, 1);
  expect(() => slots.write(1, { room: 1, outputIds: [] })).toThrow("aux slot 1 is not one of 1");
  const long = Array.from({ length: 17 }, () => 1);
  expect(() => slots.write(0, { room: 1, outputIds: long })).toThrow("aux field outputIds holds 16 values, not 17");
  expect(() => new AuxSlots(memory, 1_000)).toThrow("1000 aux slots need");
});
