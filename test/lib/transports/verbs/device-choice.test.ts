import { describe, expect, test } from "bun:test";
import {
  type Candidate,
  chooseDevices,
  describeVerdict,
  type GidAttributes,
  type Wish,
} from "../../../../lib/transports/verbs/index.ts";

const V4 = "00000000000000000000ffff0a000001";
const LINK_LOCAL = "fe80000000000000ba599ffffe000001";
const GLOBAL = "20010db8000000000000000000000001";

function gid(index: number, type: string, hex: string): GidAttributes {
  return { index, type, hex, ipv4: hex === V4 ? "10.0.0.1" : undefined, netdev: "eth0" };
}

/** As a ConnectX lists them: both versions of each address of the interface. */
const CONNECTX_GIDS = [
  gid(0, "ROCE_V1", LINK_LOCAL),
  gid(1, "ROCE_V2", LINK_LOCAL),
  gid(2, "ROCE_V1", V4),
  gid(3, "ROCE_V2", V4),
];

function port(device: string, more: Partial<Candidate> = {}): Candidate {
  return {
    device,
    port: 1,
    pciPath: `pci0000:00/0000:00:01.0/0000:01:00.${device.at(-1)}`,
    numaNode: 0,
    state: "ACTIVE",
    linkLayer: "ETHERNET",
    gigabits: 100,
    lid: 0,
    mtu: 4096,
    maxMessageBytes: 2 ** 30,
    gids: CONNECTX_GIDS,
    ...more,
  };
}

function choose(candidates: readonly Candidate[], wish: Wish = {}) {
  const { chosen, verdicts, problem } = chooseDevices(candidates, wish);
  return {
    chosen: chosen.map(({ candidate, gid: taken }) => [candidate.device, candidate.port, taken?.index]),
    reasons: Object.fromEntries(verdicts.map(({ candidate, reason }) => [candidate.device, reason])),
    lines: verdicts.map(describeVerdict),
    problem,
  };
}

describe("the GID", () => {
  test.each([
    ["RoCE v2 of an IPv4 address, wherever it stands", CONNECTX_GIDS, 3],
    [
      "RoCE v2 of a global IPv6 address before a link-local one",
      [gid(0, "ROCE_V2", LINK_LOCAL), gid(7, "ROCE_V2", GLOBAL)],
      7,
    ],
    ["RoCE v2 of any address before v1 of an IPv4 one", [gid(0, "ROCE_V1", V4), gid(1, "ROCE_V2", LINK_LOCAL)], 1],
    ["RoCE v1 where there is nothing else", [gid(4, "ROCE_V1", V4)], 4],
  ])("is %s", (_, gids, index) => {
    expect(choose([port("mlx5_0", { gids })]).chosen).toEqual([["mlx5_0", 1, index]]);
  });

  test("is never a null one, as an empty bond has it", () => {
    const gids = [gid(0, "ROCE_V2", "0".repeat(32)), gid(1, "ROCE_V2", `fe80${"0".repeat(28)}`)];
    expect(choose([port("mlx5_bond_0", { gids })])).toMatchObject({
      chosen: [],
      problem: "mlx5_bond_0 port 1: no GID that is not null",
    });
  });

  test("is the one asked for, or there is no choice", () => {
    expect(choose([port("mlx5_0")], { gidIndex: 1 }).chosen).toEqual([["mlx5_0", 1, 1]]);
    expect(choose([port("mlx5_0")], { gidIndex: 9 }).problem).toContain("no GID at index 9 that is not null");
  });

  test("is not needed on InfiniBand, where a LID is", () => {
    const infiniband = { linkLayer: "INFINIBAND", gids: [gid(0, "IB", GLOBAL)] };
    expect(choose([port("mlx5_0", { ...infiniband, lid: 17 })]).chosen).toEqual([["mlx5_0", 1, undefined]]);
    expect(choose([port("mlx5_0", infiniband)]).problem).toContain("no subnet manager has seen the port");
  });
});

describe("the device", () => {
  const gpu = { pciPath: "pci0000:80/0000:80:01.0/0000:81:00.0/0000:82:01.0/0000:84:00.0", numaNode: 1 };
  const behindSwitch = "pci0000:80/0000:80:01.0/0000:81:00.0/0000:82:00.0/0000:83:00.0";

  test("is the fastest active one", () => {
    const { chosen, reasons } = choose([
      port("mlx5_0", { gigabits: 400, state: "DOWN" }),
      port("mlx5_1", { gigabits: 100 }),
      port("mlx5_2", { gigabits: 200 }),
    ]);
    expect(chosen).toEqual([["mlx5_2", 1, 3]]);
    expect(reasons).toEqual({
      mlx5_0: "the port is DOWN, not ACTIVE",
      mlx5_1: "mlx5_2 port 1 has 200 Gb/s",
      mlx5_2: "the best of 2: 200 Gb/s, ROCE_V2 of an IPv4 address",
    });
  });

  test("is the one nearest to the GPU, before the fastest", () => {
    const { chosen, reasons } = choose(
      [
        port("mlx5_0", { gigabits: 400 }),
        port("mlx5_1", { pciPath: "pci0000:90/0000:90:01.0/0000:91:00.0", numaNode: 1, gigabits: 200 }),
        port("mlx5_2", { pciPath: "pci0000:80/0000:80:02.0/0000:85:00.0", numaNode: 1, gigabits: 200 }),
        port("mlx5_3", { pciPath: behindSwitch, numaNode: 1 }),
      ],
      { near: gpu },
    );
    expect(chosen).toEqual([["mlx5_3", 1, 3]]);
    expect(reasons["mlx5_0"]).toBe("another NUMA node, but mlx5_3 port 1 is on the same switch");
    expect(reasons["mlx5_1"]).toBe("the same NUMA node, but mlx5_3 port 1 is on the same switch");
    expect(reasons["mlx5_2"]).toBe("the same root complex, but mlx5_3 port 1 is on the same switch");
  });

  test("is any of those asked for by name, in that order, one rail each", () => {
    const candidates = [port("mlx5_0"), port("mlx5_1"), port("mlx5_2", { state: "INIT" }), port("mlx5_3")];
    const { chosen, reasons } = choose(candidates, { devices: ["mlx5_3", "mlx5_2", "mlx5_0"] });
    expect(chosen.map(([device]) => device)).toEqual(["mlx5_3", "mlx5_0"]);
    expect(reasons["mlx5_1"]).toBe("another device is asked for by name");
    expect(reasons["mlx5_2"]).toBe("the port is INIT, not ACTIVE");
  });

  test("is the active port of two", () => {
    const candidates = [port("mlx4_0", { state: "DOWN" }), port("mlx4_0", { port: 2 })];
    expect(choose(candidates).chosen).toEqual([["mlx4_0", 2, 3]]);
    expect(choose(candidates, { port: 1 }).chosen).toEqual([]);
  });

  test("may be software, which has no place", () => {
    const rxe = port("rxe0", { pciPath: undefined, numaNode: undefined, gigabits: 2.5 });
    expect(choose([rxe], { near: gpu }).chosen).toEqual([["rxe0", 1, 3]]);
  });

  test("that is asked for and not there is named, as is every other with its reason", () => {
    expect(choose([port("mlx5_0")], { devices: ["mlx5_7"] }).problem).toBe(
      "there is no device mlx5_7; mlx5_0 port 1: another device is asked for by name",
    );
    expect(choose([]).problem).toBe("no RDMA device");
  });

  test("is explained with its distance to the GPU, where the memory is on one", () => {
    const [line] = choose([port("mlx5_3", { pciPath: behindSwitch, numaNode: 1 })], { near: gpu }).lines;
    expect(line).toContain("0000:83:00.0 NUMA 1 (GPU: the same switch) ACTIVE");
  });

  test("is explained in a line each", () => {
    expect(choose([port("mlx5_0"), port("mlx5_1")]).lines).toEqual([
      "+ mlx5_0 port 1 pci0000:00/0000:00:01.0/0000:01:00.0 NUMA 0 ACTIVE ETHERNET 100 Gb/s GID 3 ROCE_V2 10.0.0.1: the best of 2: 100 Gb/s, ROCE_V2 of an IPv4 address",
      "- mlx5_1 port 1 pci0000:00/0000:00:01.0/0000:01:00.1 NUMA 0 ACTIVE ETHERNET 100 Gb/s GID 3 ROCE_V2 10.0.0.1: as good as mlx5_0 port 1, which comes first",
    ]);
  });
});
