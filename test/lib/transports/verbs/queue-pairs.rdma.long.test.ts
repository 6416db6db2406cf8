import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { KVManager } from "../../../../lib/index.ts";
import { describeRdma } from "../../../rxe/describe.ts";
import { footprint, growthPerRoom, LIMITS } from "../../memory/footprint.ts";
import { HeapProbe } from "../../memory/heap-probe.ts";
import { TestPool } from "../../pool.ts";
import { until } from "../../process/peer.ts";

const POOL = { layers: 1, pages: 64, pageBytes: 4_096, auxSlots: 32, auxBytes: 64 };
const ROOMS = 10_000;
/** Rooms at once; the first thousand meet code that was never run. */
const AT_ONCE = 32;
const WARM_UP = 1_024;
const PARTS = 8;

/** One decode that may have a single queue pair, and two prefills. */
describeRdma("the queue pairs of a manager", () => {
  const pools = [new TestPool(POOL), new TestPool(POOL), new TestPool(POOL)] as const;
  const probes = [
    new HeapProbe("verbs"),
    new HeapProbe("verbs"),
    new HeapProbe("verbs", { maxQueuePairs: 1 }),
  ] as const;
  let first: KVManager;
  let second: KVManager;
  let decode: KVManager;
  let next = 1;

  beforeAll(async () => {
    const create = (role: "prefill" | "decode", index: 0 | 1 | 2): Promise<KVManager> =>
      KVManager.create({
        role,
        args: pools[index].args,
        ...probes[index].manager,
        timeouts: { threadMs: 60_000, connectMs: 60_000, idleMs: 4_000 },
        ...(role === "prefill" ? { bootstrap: { host: "127.0.0.1", port: 0, serve: true } } : {}),
      });
    [first, second, decode] = await Promise.all([create("prefill", 0), create("prefill", 1), create("decode", 2)]);
  }, 120_000);

  afterAll(async () => {
    await Promise.all([first, second, decode].map((manager) => manager?.close()));
    for (const each of [...pools, ...probes]) each[Symbol.dispose]();
  });

  /** One room, of one page. */
  async function room(prefill: KVManager, slot: number): Promise<void> {
    const number = next++;
    const pages = [(slot * 7) % POOL.pages];
    pools[prefill === first ? 0 : 1].fill(number, pages, slot);
    using receiver = decode.createReceiver({ room: number, bootstrapAddr: prefill.bootstrapServer!.address });
    using sender = prefill.createSender({ room: number });
    receiver.init(pages, slot);
    sender.init(1, slot);
    sender.send(pages);
    await Promise.all([receiver.done, sender.done]);
    expect(pools[2].holds(number, pages, slot)).toBe(true);
  }

  async function rooms(count: number): Promise<void> {
    for (let left = count; left > 0; left -= AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, slot) => room(first, slot)));
    }
  }

  /** What is held when no room is open. */
  async function holdings(): Promise<object> {
    const figures = (): object => [first.figures, decode.figures];
    await until("no room to be held", figures, () => first.figures.rooms + decode.figures.rooms === 0);
    return {
      figures: figures(),
      members: first.bootstrapServer!.memberCount,
      descriptors: readdirSync("/proc/self/fd").length,
    };
  }

  test(`${ROOMS} rooms in a row: memory, descriptors, queue pairs and the registry are as at the start`, async () => {
    await rooms(WARM_UP);
    const before = await holdings();
    expect(before).toMatchObject({
      figures: [
        { pairs: 1, queuePairs: 1 },
        { pairs: 1, queuePairs: 1 },
      ],
    });
    let half = await footprint(probes);
    for (let part = 1; part <= PARTS; part++) {
      await rooms((ROOMS - WARM_UP) / PARTS);
      expect(await holdings()).toEqual(before);
      if (part === PARTS / 2) half = await footprint(probes);
    }
    // In the first half compiled code comes and goes, which is many times as much.
    const grown = growthPerRoom(half, await footprint(probes), (ROOMS - WARM_UP) / 2);
    expect(grown.objects).toBeLessThan(LIMITS.objects);
    expect(grown.bytes).toBeLessThan(LIMITS.bytes);
    expect(grown.nativeBytes).toBeLessThan(LIMITS.nativeBytes);
  }, 600_000);

  test("where there can be no more of them, an idle pair gives way to one that a room needs", async () => {
    for (const prefill of [second, first, second]) {
      await room(prefill, 0);
      expect(decode.figures.pairs).toBe(1);
    }
  }, 60_000);

  test("those of a pair that no room uses are given back after a while, on both sides, and made anew", async () => {
    const figures = (): number => decode.figures.queuePairs + first.figures.queuePairs + second.figures.queuePairs;
    await until("no queue pair to be left", figures, (count) => count === 0, 60_000);
    await room(first, 1);
    expect([decode.figures.queuePairs, first.figures.queuePairs]).toEqual([1, 1]);
  }, 120_000);
});
