import { afterAll, beforeAll, expect, test } from "bun:test";
import { describeMachines, type Machine, type Network, startMachines } from "../../../rxe/index.ts";
import { until } from "../../process/peer.ts";
import type { Settled } from "./hosts/commands.ts";
import { ManagerProcess } from "./hosts/manager-process.ts";

const LEASE_MS = 20_000;
const LIMIT_MS = 60_000;
const TEST_MS = 240_000;
const ROOMS = 300;
/** A rail that is tried again after 1 s; a silent peer is given up after about 1 s. */
const verbs = { device: "rxe0,rxe1", rejoinMs: 1_000, timeout: 15 };

/** Two machines with two networks between them; whatever happens to one of the two, no room may fail. */
describeMachines("two hosts with two rails", () => {
  let network: Network;
  let prefill: ManagerProcess;
  let decode: ManagerProcess;
  let next = 1;

  beforeAll(async () => {
    network = await startMachines(2);
    [prefill, decode] = await Promise.all([
      ManagerProcess.start(network.host1, "prefill", LEASE_MS, verbs),
      ManagerProcess.start(network.host2, "decode", LEASE_MS, verbs),
    ]);
  }, TEST_MS);

  afterAll(async () => network?.[Symbol.asyncDispose]());

  async function open(count: number): Promise<{ first: number; count: number }> {
    const range = { first: next, count };
    next += count;
    await decode.ask({ do: "open", ...range, addr: prefill.address });
    await prefill.ask({ do: "open", ...range });
    return range;
  }

  async function expectWhole(range: { first: number; count: number }): Promise<void> {
    const sides = [decode, prefill];
    const command = { do: "settle", ...range, limitMs: LIMIT_MS } as const;
    const settled = await Promise.all(sides.map((side) => side.ask<Settled>(command)));
    const whole = { succeeded: range.count, wrong: 0, unreleased: 0, failed: {} };
    expect(settled).toEqual([whole, whole]);
    await Promise.all(sides.map((side) => side.ask({ do: "clear", ...range })));
  }

  async function run(machine: Machine, line: string): Promise<string> {
    const { code, stdout, stderr } = await machine.run(line, { timeoutMs: 30_000 });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return stdout;
  }

  const sentOn = async (net: "net0" | "net1"): Promise<number> =>
    Number(await run(network.host1, `cat /sys/class/net/${net}/statistics/tx_bytes`));

  /** Bytes that prefill's host sends on either network while so many rooms are sent. */
  async function shares(count: number): Promise<{ first: number; second: number }> {
    const before = [await sentOn("net0"), await sentOn("net1")] as const;
    await expectWhole(await open(count));
    return { first: (await sentOn("net0")) - before[0], second: (await sentOn("net1")) - before[1] };
  }

  const comesBack = async (): Promise<void> => {
    await until(
      "the second rail to carry rooms again",
      () => shares(20),
      ({ first, second }) => second > first / 4,
      60_000,
    );
  };

  test(
    "rooms are striped over both",
    async () => {
      const { first, second } = await shares(ROOMS);
      expect(Math.min(first, second)).toBeGreaterThan(Math.max(first, second) / 4);
    },
    TEST_MS,
  );

  test.each(["host1", "host2"] as const)(
    "the link of one goes down at %s in mid-transfer: every room is whole, and the rail comes back with the link",
    async (host) => {
      const range = await open(ROOMS);
      await run(network[host], "ip link set net1 down");
      await expectWhole(range);
      await expectWhole(await open(20));
      await run(network[host], "ip link set net1 up");
      await comesBack();
    },
    TEST_MS,
  );

  test(
    "one loses everything without a word: every room is whole, and the rail comes back",
    async () => {
      const range = await open(ROOMS);
      await run(network.host2, "tc qdisc add dev net1 root netem loss 100%");
      await expectWhole(range);
      await run(network.host2, "tc qdisc del dev net1 root");
      await comesBack();
    },
    TEST_MS,
  );

  test(
    "one crawls: it is left out, every room is whole, and the rail comes back",
    async () => {
      await run(network.host1, "tc qdisc add dev net1 root netem rate 100kbit limit 10000");
      await until(
        "the rail to be left out",
        () => shares(ROOMS / 3),
        ({ first, second }) => second < first / 8,
        LIMIT_MS,
      );
      await run(network.host1, "tc qdisc del dev net1 root");
      await comesBack();
    },
    TEST_MS,
  );
});
