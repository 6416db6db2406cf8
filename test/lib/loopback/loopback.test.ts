import { describe, expect, test } from "bun:test";
import { Chaos, type ChaosOptions } from "./chaos.ts";

/** `KVWIRE_SEED=n bun test test/lib/loopback` replays one seed; `KVWIRE_SEEDS=n` runs that many of each kind. */
const only = process.env["KVWIRE_SEED"];
const count = Number(process.env["KVWIRE_SEEDS"] ?? 300);
const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(only)];

const kinds: readonly (readonly [string, Omit<ChaosOptions, "seed">])[] = [
  ["no fault", {}],
  ["aborts on either side", { abortRate: 0.5 }],
  ["lost control messages", { lossRate: 0.05 }],
  ["breaking connections", { breakRate: 0.01 }],
  ["killed and restarted processes", { kills: 2, abortRate: 0.2 }],
  ["stopped and resumed processes", { stops: 2, abortRate: 0.2 }],
  ["everything at once", { lossRate: 0.02, breakRate: 0.005, abortRate: 0.2, kills: 1, stops: 1 }],
];

describe("rooms keep their promises in a simulated world with", () => {
  test.each(kinds)(
    "%s",
    (_, options) => {
      let succeeded = 0;
      for (const seed of seeds) {
        const chaos = new Chaos({ seed, ...options });
        chaos.run();
        succeeded += chaos.succeeded;
      }
      expect(succeeded).toBeGreaterThan(0);
    },
    120_000,
  );

  test("the same history for the same seed", () => {
    const run = (): number[] => {
      const chaos = new Chaos({ seed: 7, abortRate: 0.3, breakRate: 0.01 });
      chaos.run();
      return [chaos.succeeded, chaos.failed, chaos.world.simulation.now];
    };
    expect(run()).toEqual(run());
  });
});
