import { describe, expect, test } from "bun:test";
import { Random } from "../support/plans.ts";
import { World, type WorldOptions } from "./fabric/world.ts";

/** KVWIRE_SEEDS=5000 for a long run. */
const SEEDS = Number(process.env["KVWIRE_SEEDS"] ?? 60);
const FAULTS_UNTIL = 6_000;
const LIMIT = 400_000;

/** Rooms come and go, some are taken back, and until the faults end networks are cut and joined again; never the last one. */
function run(world: World, { rails }: WorldOptions): void {
  const { random, fabric } = world;
  for (let i = 0; i < LIMIT; i++) {
    const faulty = i < FAULTS_UNTIL;
    if (faulty && random.below(60) === 0) world.openRoom();
    if (faulty && random.below(400) === 0) world.revokeSome();
    if (faulty && random.below(200) === 0) {
      if (fabric.cut.size > 0) fabric.cut.clear();
      // Most of the time one after another, sometimes while one that failed has not come back.
      else if (world.isWhole || random.below(20) === 0) fabric.cut.add(random.below(rails));
    }
    if (!faulty) fabric.cut.clear();
    world.turn();
    if (world.over || (!faulty && world.open === 0)) return;
  }
  throw new Error(`${world.open} rooms have not ended`);
}

describe("a pair of several rails, simulated", () => {
  test.each([
    { rails: 2, queuePairs: 1 },
    { rails: 3, queuePairs: 1 },
    { rails: 2, queuePairs: 2 },
  ])("%p: rooms go on while rails fail and come back, and no byte lands in a page that was given back", (options) => {
    let [whole, lost] = [0, 0];
    for (let seed = 1; seed <= SEEDS; seed++) {
      using world = new World(new Random(seed * 7_919), options);
      world.connect();
      try {
        run(world, options);
      } catch (cause) {
        throw new Error(`seed ${seed}: ${String(cause)}`, { cause });
      }
      whole += world.arrived;
      if (world.over) lost++;
    }
    expect(whole).toBeGreaterThan(SEEDS * 20);
    // Only where the last rail failed while another had not come back yet.
    expect(lost).toBeLessThan(SEEDS / 2);
  });
});
