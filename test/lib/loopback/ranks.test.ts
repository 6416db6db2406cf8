import { describe, expect, test } from "bun:test";
import { type KVArgs, KVPoll } from "../../../lib/index.ts";
import { LoopbackWorld, type WorldManager } from "../../../lib/transports/loopback/index.ts";

const PAGES = 8;
const TOKENS = 4;
const HEADS = 4;
const HEAD_BYTES = 8;
const LAYERS = 4;
const REGISTRY = "registry:8998";

interface Size {
  readonly tp: number;
  readonly pp: number;
}

interface Rank {
  readonly manager: WorldManager;
  readonly tp: number;
  readonly pp: number;
  byte(kind: number, layer: number, page: number, token: number, head: number): Uint8Array;
  aux(slot: number): Uint8Array;
}

/** One rank with the heads and layers that its place gives it. */
function startRank(
  world: LoopbackWorld,
  role: "prefill" | "decode",
  attention: "mha" | "mla",
  size: Size,
  tp: number,
  pp: number,
): Rank {
  const heads = attention === "mla" ? 1 : HEADS / size.tp;
  const firstHead = attention === "mla" ? 0 : tp * heads;
  const layers = LAYERS / size.pp;
  const firstLayer = pp * layers;
  const kinds = attention === "mla" ? 1 : 2;
  const itemBytes = TOKENS * heads * HEAD_BYTES;
  const buffers = Array.from({ length: kinds * layers }, () => world.memory.allocate(PAGES * itemBytes));
  const aux = world.memory.allocate(4 * 16);
  const args: KVArgs = {
    kvDataPtrs: buffers.map(({ address }) => address),
    kvDataLens: buffers.map(() => PAGES * itemBytes),
    kvItemLens: buffers.map(() => itemBytes),
    auxDataPtrs: [aux.address],
    auxDataLens: [64],
    auxItemLens: [16],
    pageSize: TOKENS,
    attention,
    kvHeadNum: heads,
    totalKvHeadNum: attention === "mla" ? 1 : HEADS,
    kvCacheDtype: "float32",
    prefillStartLayer: firstLayer,
    prefillEndLayer: firstLayer + layers,
    tpRank: tp,
    tpSize: size.tp,
    ppRank: pp,
    ppSize: size.pp,
  };
  const registry = role === "prefill" ? { registry: { address: REGISTRY, serve: tp === 0 && pp === 0 } } : {};
  const manager = world.start({ role, name: `${role} ${tp}.${pp}`, args, ...registry });
  return {
    manager,
    tp,
    pp,
    byte: (kind, layer, page, token, head) => {
      const { bytes } = buffers[kind * layers + (layer - firstLayer)]!;
      return bytes
        .subarray(page * itemBytes + (token * heads + (head - firstHead)) * HEAD_BYTES)
        .subarray(0, HEAD_BYTES);
    },
    aux: (slot) => aux.bytes.subarray(slot * 16, slot * 16 + 16),
  };
}

function startSide(world: LoopbackWorld, role: "prefill" | "decode", attention: "mha" | "mla", size: Size): Rank[] {
  return Array.from({ length: size.pp }, (_, pp) => pp).flatMap((pp) =>
    Array.from({ length: size.tp }, (_, tp) => startRank(world, role, attention, size, tp, pp)),
  );
}

const cases: readonly (readonly ["mha" | "mla", Size, Size])[] = [
  ["mha", { tp: 1, pp: 1 }, { tp: 1, pp: 1 }],
  ["mha", { tp: 1, pp: 1 }, { tp: 2, pp: 1 }],
  ["mha", { tp: 2, pp: 1 }, { tp: 1, pp: 1 }],
  ["mha", { tp: 4, pp: 1 }, { tp: 2, pp: 1 }],
  ["mha", { tp: 2, pp: 1 }, { tp: 2, pp: 1 }],
  ["mha", { tp: 1, pp: 2 }, { tp: 1, pp: 1 }],
  ["mha", { tp: 2, pp: 2 }, { tp: 1, pp: 2 }],
  ["mla", { tp: 1, pp: 1 }, { tp: 2, pp: 1 }],
  ["mla", { tp: 4, pp: 1 }, { tp: 2, pp: 1 }],
  ["mla", { tp: 2, pp: 2 }, { tp: 1, pp: 1 }],
];

const name = ({ tp, pp }: Size): string => `tp ${tp} pp ${pp}`;

describe("a room reaches every decode rank with its heads and layers", () => {
  test.each(cases.map((each) => [each[0], name(each[1]), name(each[2]), each] as const))(
    "%s, prefill %s, decode %s",
    (_, __, ___, [attention, prefillSize, decodeSize]) => {
      const world = new LoopbackWorld({ seed: 11 });
      const prefill = startSide(world, "prefill", attention, prefillSize);
      const decode = startSide(world, "decode", attention, decodeSize);
      const heads = attention === "mla" ? 1 : HEADS;
      const sourcePages = [5, 2, 3];
      const destinationPages = [1, 7, 6];

      const value = (kind: number, layer: number, position: number, token: number, head: number): number =>
        (1 + kind + 3 * layer + 17 * position + 5 * token + 11 * head) & 0xff;
      const each = (
        rank: Rank,
        visit: (kind: number, layer: number, position: number, token: number, head: number) => void,
      ): void => {
        const size = prefill.includes(rank) ? prefillSize : decodeSize;
        const layers = LAYERS / size.pp;
        const own = attention === "mla" ? 1 : heads / size.tp;
        const firstHead = attention === "mla" ? 0 : rank.tp * own;
        for (let kind = 0; kind < (attention === "mla" ? 1 : 2); kind++)
          for (let layer = rank.pp * layers; layer < (rank.pp + 1) * layers; layer++)
            for (let position = 0; position < 3; position++)
              for (let token = 0; token < TOKENS; token++)
                for (let head = firstHead; head < firstHead + own; head++) visit(kind, layer, position, token, head);
      };
      for (const rank of prefill) {
        each(rank, (kind, layer, position, token, head) =>
          rank.byte(kind, layer, sourcePages[position]!, token, head).fill(value(kind, layer, position, token, head)),
        );
        rank.aux(2).fill(77);
      }

      const senders = prefill.map(({ manager }) => manager.manager.createSender({ room: 9 }));
      const receivers = decode.map(({ manager }) =>
        manager.manager.createReceiver({ room: 9, bootstrapAddr: REGISTRY }),
      );
      for (const receiver of receivers) receiver.init(destinationPages, 1);
      for (const sender of senders) {
        sender.init(3, 2);
        sender.send(sourcePages.slice(0, 1));
        sender.send(sourcePages.slice(1));
      }
      const ends = [...senders, ...receivers];
      world.simulation.run(
        () => ends.every((end) => end.poll() === KVPoll.Success || end.poll() === KVPoll.Failed),
        30_000,
      );
      expect(ends.map((end) => end.failureException()?.message ?? "ok")).toEqual(ends.map(() => "ok"));
      expect(ends.map((end) => end.poll())).toEqual(ends.map(() => KVPoll.Success));

      let checked = 0;
      for (const rank of decode) {
        each(rank, (kind, layer, position, token, head) => {
          const bytes = rank.byte(kind, layer, destinationPages[position]!, token, head);
          expect(bytes.every((byte) => byte === value(kind, layer, position, token, head))).toBe(true);
          checked++;
        });
        expect(rank.aux(1).every((byte) => byte === 77)).toBe(true);
      }
      expect(checked).toBeGreaterThan(0);
    },
  );
});
