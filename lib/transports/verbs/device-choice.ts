/** Which devices to use, as a pure function of what is known about them. @module */

export interface GidAttributes {
  readonly index: number;
  /** `IB`, `ROCE_V1` or `ROCE_V2`. */
  readonly type: string;
  /** 32 hexadecimal digits. */
  readonly hex: string;
  readonly ipv4: string | undefined;
  readonly netdev: string | undefined;
}

/** One port of a device. */
export interface Candidate {
  readonly device: string;
  readonly port: number;
  /** From the root complex down: `pci0000:00/0000:00:01.0/0000:01:00.0`; undefined for software devices. */
  readonly pciPath: string | undefined;
  readonly numaNode: number | undefined;
  /** `ACTIVE`, `DOWN`… */
  readonly state: string;
  /** `INFINIBAND` or `ETHERNET`. */
  readonly linkLayer: string;
  readonly gigabits: number;
  readonly lid: number;
  readonly mtu: number;
  readonly maxMessageBytes: number;
  readonly gids: readonly GidAttributes[];
}

export interface Wish {
  /** In their order; undefined: the best one. */
  readonly devices?: readonly string[] | undefined;
  readonly port?: number | undefined;
  readonly gidIndex?: number | undefined;
  /** Where the memory is. */
  readonly near?: { readonly pciPath: string | undefined; readonly numaNode: number | undefined } | undefined;
}

export interface Choice {
  readonly candidate: Candidate;
  /** Undefined on InfiniBand, where the LID is enough. */
  readonly gid: GidAttributes | undefined;
}

export interface Verdict {
  readonly candidate: Candidate;
  /** From where the memory is; undefined where that is not known. */
  readonly distance: string | undefined;
  readonly gid: GidAttributes | undefined;
  readonly chosen: boolean;
  readonly reason: string;
}

export interface DeviceChoice {
  readonly chosen: readonly Choice[];
  readonly verdicts: readonly Verdict[];
  /** Why nothing was chosen. */
  readonly problem: string | undefined;
}

/** What is near to what, from far to near. */
const DISTANCES = ["another NUMA node", "the same NUMA node", "the same root complex", "the same switch"] as const;

export function chooseDevices(candidates: readonly Candidate[], wish: Wish): DeviceChoice {
  const judged = candidates.map((candidate) => ({ candidate, ...judge(candidate, wish) }));
  const usable = judged.filter(({ problem }) => problem === undefined);
  const ranked = usable.toSorted(
    (a, b) =>
      distance(b.candidate, wish) - distance(a.candidate, wish) ||
      b.candidate.gigabits - a.candidate.gigabits ||
      gidRank(b.gid) - gidRank(a.gid),
  );
  const wanted = wish.devices
    ? wish.devices.flatMap((name) => ranked.find(({ candidate }) => candidate.device === name) ?? [])
    : ranked.slice(0, 1);
  const best = ranked[0];
  const verdicts = judged.map((each): Verdict => {
    const { candidate, gid } = each;
    const chosen = wanted.includes(each);
    const reason = chosen
      ? wish.devices
        ? "asked for by name"
        : ranked.length === 1
          ? "the only one that can be used"
          : `the best of ${ranked.length}: ${merits(each, wish)}`
      : (each.problem ?? whyNot(each, best!, wish));
    return { candidate, distance: wish.near && DISTANCES[distance(candidate, wish)], gid, chosen, reason };
  });
  const missing = wish.devices?.filter((name) => !candidates.some(({ device }) => device === name)) ?? [];
  const problem =
    wanted.length > 0
      ? undefined
      : [
          ...missing.map((name) => `there is no device ${name}`),
          ...verdicts.map(({ candidate, reason }) => `${candidate.device} port ${candidate.port}: ${reason}`),
        ].join("; ") || "no RDMA device";
  return { chosen: wanted.map(({ candidate, gid }) => ({ candidate, gid })), verdicts, problem };
}

/** One line for each candidate, the chosen ones marked. */
export function describeVerdict({ candidate, distance: far, gid, chosen, reason }: Verdict): string {
  const { device, port, pciPath, numaNode, state, linkLayer, gigabits, lid } = candidate;
  const address = gid ? `GID ${gid.index} ${gid.type} ${gid.ipv4 ?? gid.hex}` : lid ? `LID ${lid}` : "no address";
  const place = `${pciPath ?? "no PCI path"} NUMA ${numaNode ?? "?"}${far ? ` (GPU: ${far})` : ""}`;
  return `${chosen ? "+" : "-"} ${device} port ${port} ${place} ${state} ${linkLayer} ${gigabits} Gb/s ${address}: ${reason}`;
}

type Judged = { readonly candidate: Candidate; readonly gid: GidAttributes | undefined; readonly problem?: string };

function judge(candidate: Candidate, wish: Wish): Omit<Judged, "candidate"> {
  const gid = chooseGid(candidate, wish.gidIndex);
  const refuse = (problem: string) => ({ gid, problem });
  if (wish.devices && !wish.devices.includes(candidate.device)) return refuse("another device is asked for by name");
  if (wish.port !== undefined && wish.port !== candidate.port) return refuse(`port ${wish.port} is asked for`);
  if (candidate.state !== "ACTIVE") return refuse(`the port is ${candidate.state}, not ACTIVE`);
  if (candidate.linkLayer === "ETHERNET" || wish.gidIndex !== undefined) {
    const index = wish.gidIndex === undefined ? "" : ` at index ${wish.gidIndex}`;
    return gid ? { gid } : refuse(`no GID${index} that is not null`);
  }
  return candidate.lid === 0 ? refuse("no LID: no subnet manager has seen the port") : { gid: undefined };
}

/** On Ethernet every packet carries a GID: RoCE v2 of an IPv4 address first, then IPv6, then what one link can carry. */
function chooseGid({ gids }: Candidate, index: number | undefined): GidAttributes | undefined {
  const usable = gids.filter((gid) => !/^.{16}0{16}$/.test(gid.hex));
  if (index !== undefined) return usable.find((gid) => gid.index === index);
  return usable.toSorted((a, b) => gidRank(b) - gidRank(a) || a.index - b.index)[0];
}

function gidRank(gid: GidAttributes | undefined): number {
  if (!gid) return 0;
  const v2 = gid.type === "ROCE_V2" ? 8 : 0;
  const linkLocal = gid.hex.startsWith("fe80");
  return 1 + v2 + (gid.ipv4 ? 4 : linkLocal ? 0 : 2);
}

/** An index of {@link DISTANCES}; 0 where nothing is known. */
function distance({ pciPath, numaNode }: Candidate, { near }: Wish): number {
  if (!near) return 0;
  if (near.pciPath && pciPath) {
    const theirs = near.pciPath.split("/");
    const ours = pciPath.split("/");
    let shared = 0;
    while (shared < ours.length && ours[shared] === theirs[shared]) shared++;
    // Below one root port only a switch can hold two devices.
    if (shared >= 2) return 3;
    if (shared === 1) return 2;
  }
  return near.numaNode !== undefined && near.numaNode >= 0 && near.numaNode === numaNode ? 1 : 0;
}

function merits({ candidate, gid }: Judged, wish: Wish): string {
  const parts: string[] = wish.near ? [DISTANCES[distance(candidate, wish)]!] : [];
  parts.push(`${candidate.gigabits} Gb/s`);
  if (gid) parts.push(`${gid.type}${gid.ipv4 ? " of an IPv4 address" : ""}`);
  return parts.join(", ");
}

function whyNot(loser: Judged, best: Judged, wish: Wish): string {
  const winner = `${best.candidate.device} port ${best.candidate.port}`;
  const far = distance(loser.candidate, wish);
  const near = distance(best.candidate, wish);
  if (far < near) return `${DISTANCES[far]}, but ${winner} is on ${DISTANCES[near]}`;
  if (loser.candidate.gigabits < best.candidate.gigabits) return `${winner} has ${best.candidate.gigabits} Gb/s`;
  if (gidRank(loser.gid) < gidRank(best.gid)) return `${winner} has the better GID`;
  return `as good as ${winner}, which comes first`;
}
