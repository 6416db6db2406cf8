import { afterAll, beforeAll, expect, test } from "bun:test";
import { describeMachines, type Machine, type Network, startMachines } from "../../../rxe/index.ts";
import type { HostCommand, Settled } from "./hosts/commands.ts";
import { ManagerProcess } from "./hosts/manager-process.ts";

const LEASE_MS = 8_000;
const LIMIT_MS = 60_000;
const TEST_MS = 300_000;

/** Two machines with a processor each, emulated: starting a process takes most of a test's time. */
describeMachines("two hosts over verbs", () => {
  let network: Network;
  let prefill: ManagerProcess;
  let decode: ManagerProcess;
  let next = 1;

  const startPrefill = async (): Promise<void> => {
    // A send queue that rooms fill many times over.
    prefill = await ManagerProcess.start(network.host1, "prefill", LEASE_MS, { sendRequests: 32 });
  };
  const startDecode = async (): Promise<void> => {
    decode = await ManagerProcess.start(network.host2, "decode", LEASE_MS);
  };

  beforeAll(async () => {
    network = await startMachines(2);
    await Promise.all([startPrefill(), startDecode()]);
  }, TEST_MS);

  afterAll(async () => network?.[Symbol.asyncDispose]());

  const rooms = (count: number): { first: number; count: number } => {
    const first = next;
    next += count;
    return { first, count };
  };

  async function open(count: number): Promise<{ first: number; count: number }> {
    const range = rooms(count);
    await decode.ask({ do: "open", ...range, addr: prefill.address });
    await prefill.ask({ do: "open", ...range });
    return range;
  }

  async function settle(range: { first: number; count: number }, sides = [decode, prefill]): Promise<Settled[]> {
    const command: HostCommand = { do: "settle", ...range, limitMs: LIMIT_MS };
    const settled = await Promise.all(sides.map((side) => side.ask<Settled>(command)));
    await Promise.all(sides.map((side) => side.ask({ do: "clear", ...range })));
    return settled;
  }

  async function expectWhole(count: number): Promise<void> {
    const whole = { succeeded: count, wrong: 0, unreleased: 0, failed: {} };
    expect(await settle(await open(count))).toEqual([whole, whole]);
  }

  /** Every room has ended one way or the other: whole, or failed with a reason that names the peer's loss. */
  function expectEnded(settled: readonly Settled[], count: number): void {
    for (const { succeeded, wrong, unreleased, failed } of settled) {
      expect({ wrong, unreleased }).toEqual({ wrong: 0, unreleased: 0 });
      const failures = Object.values(failed).reduce((sum, each) => sum + each, 0);
      expect(succeeded + failures).toBe(count);
      expect(failed).not.toContainKey("UNFINISHED");
    }
  }

  const begin = (machine: Machine, line: string): Promise<{ code: number }> => machine.run(line, { timeoutMs: 30_000 });

  test(
    "one room, and 500 at once over a send queue that is full, have every byte",
    async () => {
      await expectWhole(1);
      await expectWhole(500);
    },
    TEST_MS,
  );

  test(
    "200 aborts raced against the writes leave no foreign byte in pages that are reused at once",
    async () => {
      const range = await open(200);
      await decode.ask({ do: "abort", ...range, withinMs: 500 });
      await prefill.ask({ do: "settle", ...range, limitMs: 5_000 });
      const { failed, foreign } = await decode.ask<{ failed: number; foreign: number }>({ do: "foreign", ...range });
      expect(failed).toBeGreaterThan(0);
      expect(foreign).toBe(0);
      expectEnded(await settle(range), 200);
      await expectWhole(20);
    },
    TEST_MS,
  );

  test.each([1, 10])(
    "%d percent of packets lost: rooms are whole, or fail and say so; without loss all are whole",
    async (percent) => {
      expect((await begin(network.host1, `tc qdisc add dev net0 root netem loss ${percent}%`)).code).toBe(0);
      expectEnded(await settle(await open(40)), 40);
      expect((await begin(network.host1, "tc qdisc del dev net0 root")).code).toBe(0);
      await expectWhole(20);
    },
    TEST_MS,
  );

  test(
    "a link that is down for 3 s ends at most the rooms of that time",
    async () => {
      const range = await open(300);
      expect((await begin(network.host1, "ip link set net0 down; sleep 3; ip link set net0 up")).code).toBe(0);
      expectEnded(await settle(range), 300);
      await expectWhole(20);
    },
    TEST_MS,
  );

  test(
    "kill -9 of decode in mid-transfer: prefill goes on with the next one",
    async () => {
      const range = await open(300);
      await decode.kill();
      expectEnded(await settle(range, [prefill]), 300);
      await startDecode();
      await expectWhole(20);
    },
    TEST_MS,
  );

  test(
    "kill -9 of prefill in mid-transfer: decode goes on with the next one",
    async () => {
      const range = await open(300);
      await prefill.kill();
      expectEnded(await settle(range, [decode]), 300);
      await startPrefill();
      await expectWhole(20);
    },
    TEST_MS,
  );

  test(
    "a prefill host without power: decode goes on with the one in its place",
    async () => {
      const range = await open(300);
      const replaced = network.replace(network.host1);
      expectEnded(await settle(range, [decode]), 300);
      await replaced;
      await startPrefill();
      await expectWhole(20);
    },
    TEST_MS,
  );
});
