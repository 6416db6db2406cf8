import { expect, test } from "bun:test";
import { SlotAllocator } from "../../../engine/disaggregation/slots.ts";

test("slots are lent to one holder at a time, and again when they were given back", () => {
  const slots = new SlotAllocator(2);
  expect([slots.take(), slots.take(), slots.take()]).toEqual([0, 1, undefined]);
  expect(slots.free).toBe(0);
  slots.giveBack(1);
  expect(slots.take()).toBe(1);
});
