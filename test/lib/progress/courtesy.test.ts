import { expect, test } from "bun:test";
import { Courtesy } from "../../../lib/progress/courtesy.ts";

/** Gives way to somebody who keeps the processor for `keptMs` each time. */
function setUp(keptMs: number) {
  const state = { at: 100, keptMs, yields: 0 };
  const courtesy = new Courtesy(
    () => state.at,
    () => {
      state.yields++;
      state.at += state.keptMs;
    },
  );
  return { state, courtesy };
}

test("a processor that is given back soon is left again and again", () => {
  const { state, courtesy } = setUp(0.3);
  for (let turn = 0; turn < 5; turn++) courtesy.giveWay();
  expect(state.yields).toBe(5);
  expect(courtesy.mayLookOn(state.at)).toBeTrue();
});

test("one that was kept is not left for a while, and the thread does not look on for longer still", () => {
  const { state, courtesy } = setUp(3.8);
  courtesy.giveWay();
  courtesy.giveWay();
  expect(state.yields).toBe(1);
  expect(courtesy.mayLookOn(state.at)).toBeFalse();

  state.at += 10;
  state.keptMs = 0;
  courtesy.giveWay();
  expect(state.yields).toBe(2);
  expect(courtesy.mayLookOn(state.at)).toBeFalse();
  expect(courtesy.mayLookOn(state.at + 40)).toBeTrue();
});
