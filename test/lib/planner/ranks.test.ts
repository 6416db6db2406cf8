import { expect, test } from "bun:test";
import {
  decodeRanksOf,
  emptyPlan,
  type GroupSize,
  planAux,
  planPages,
  prefillRanksOf,
  prefillReplica,
  type Rank,
  type RankLink,
  type RankMapping,
  replicaRank,
} from "../../../lib/planner/index.ts";
import { applyPlan, byteAddress, forBytesOfPage, makePool, type Model, type Pool, range } from "./pool.ts";
import { forSeeds, type Random } from "./random.ts";

const side = (tpSize: number, ppSize = 1): GroupSize => ({ tpSize, ppSize });
const mha = (totalKvHeads: number, prefill: GroupSize, decode: GroupSize): RankMapping => ({
  attention: "mha",
  totalKvHeads,
  prefill,
  decode,
});
const mla = (prefill: GroupSize, decode: GroupSize): RankMapping => ({ ...mha(1, prefill, decode), attention: "mla" });

/** Links as `tp.pp`, a dummy in brackets, the sender of the aux slot with a star. */
function shown(links: readonly RankLink[]): string {
  return links
    .map(
      ({ tpRank, ppRank, dummy, aux }) => `${dummy ? "(" : ""}${tpRank}.${ppRank}${dummy ? ")" : ""}${aux ? "*" : ""}`,
    )
    .join(" ");
}

test("a decode rank asks the prefill ranks that SGLang's mapping names", () => {
  for (const [mapping, decode, links, completions] of [
    [mha(8, side(1), side(1)), [0, 0], "0.0*", 1],
    [mha(8, side(4), side(4)), [3, 0], "3.0*", 1],
    [mha(8, side(1), side(2)), [1, 0], "0.0*", 1],
    [mha(8, side(2), side(8)), [3, 0], "0.0*", 1],
    [mha(8, side(2), side(8)), [4, 0], "1.0*", 1],
    [mha(8, side(2), side(1)), [0, 0], "0.0* 1.0", 2],
    [mha(8, side(8), side(2)), [1, 0], "4.0* 5.0 6.0 7.0", 4],
    [mla(side(4), side(4)), [2, 0], "2.0*", 1],
    [mla(side(2), side(4)), [3, 0], "1.0*", 1],
    [mla(side(4), side(1)), [0, 0], "0.0* (1.0) (2.0) (3.0)", 1],
    [mla(side(4), side(2)), [1, 0], "2.0* (3.0)", 1],
    [mha(8, side(2, 2), side(2, 2)), [1, 0], "1.0*", 1],
    [mha(8, side(2, 2), side(2, 2)), [1, 1], "1.1*", 1],
    [mha(8, side(1, 2), side(1)), [0, 0], "0.0 0.1*", 2],
    [mha(8, side(2, 3), side(1)), [0, 0], "0.0 1.0 0.1 1.1 0.2* 1.2", 6],
    [mla(side(2, 2), side(1)), [0, 0], "0.0 (1.0) 0.1* (1.1)", 2],
    // Two heads on eight ranks: four copies of each, of which one sends.
    [mha(2, side(8), side(1)), [0, 0], "0.0* (1.0) (2.0) (3.0) 4.0 (5.0) (6.0) (7.0)", 2],
    [mha(2, side(8), side(4)), [3, 0], "6.0* (7.0)", 1],
    [mha(2, side(4), side(8)), [5, 0], "2.0*", 1],
  ] as const) {
    const found = prefillRanksOf(mapping, { tpRank: decode[0], ppRank: decode[1] });
    expect([shown(found.links), found.completions]).toEqual([links, completions]);
  }
});

test("a prefill rank waits for the decode ranks that ask it", () => {
  for (const [mapping, prefill, links, infos] of [
    [mha(8, side(4), side(4)), [3, 0], "3.0*", 1],
    [mha(8, side(1), side(2)), [0, 0], "0.0* 1.0*", 2],
    [mha(8, side(2), side(8)), [1, 0], "4.0* 5.0* 6.0* 7.0*", 4],
    [mha(8, side(8), side(2)), [4, 0], "1.0*", 1],
    [mha(8, side(8), side(2)), [7, 0], "1.0", 1],
    [mla(side(4), side(2)), [3, 0], "(1.0)", 1],
    [mha(8, side(1, 2), side(2)), [0, 0], "0.0 1.0", 2],
    [mha(8, side(2, 2), side(2, 2)), [0, 1], "0.1*", 1],
  ] as const) {
    const found = decodeRanksOf(mapping, { tpRank: prefill[0], ppRank: prefill[1] });
    expect([shown(found.links), found.infos]).toEqual([links, infos]);
  }
});

test("sizes that do not divide are refused, each saying what it expected", () => {
  for (const [mapping, message] of [
    [mha(12, side(2), side(3)), "decode tp size: expected a divisor or multiple of prefill's 2, came 3"],
    [mha(12, side(1, 4), side(1, 2)), "decode pp size: expected 1 or prefill's 4, came 2"],
    [mha(6, side(4), side(2)), "key/value heads over ranks: expected a divisor or multiple of 6, came 4"],
    [mha(6, side(2), side(4)), "key/value heads over ranks: expected a divisor or multiple of 6, came 4"],
  ] as const) {
    for (const call of [prefillRanksOf, decodeRanksOf]) {
      expect(() => call(mapping, { tpRank: 0, ppRank: 0 })).toThrow(
        expect.objectContaining({ code: "RANK_MISMATCH", message }),
      );
    }
  }
});

test("a rank outside its group is refused", () => {
  const mapping = mha(8, side(2, 2), side(2));
  for (const [call, rank, message] of [
    [prefillRanksOf, [2, 0], "decode tp rank: expected 0 to 1, came 2"],
    [prefillRanksOf, [0, 1], "decode pp rank: expected 0 to 0, came 1"],
    [decodeRanksOf, [-1, 0], "prefill tp rank: expected 0 to 1, came -1"],
    [decodeRanksOf, [0, 2], "prefill pp rank: expected 0 to 1, came 2"],
  ] as const) {
    expect(() => call(mapping, { tpRank: rank[0], ppRank: rank[1] })).toThrow(
      expect.objectContaining({ code: "RANK_MISMATCH", message }),
    );
  }
});

test("engine ranks are counted through the replicas", () => {
  const size = { tpSize: 2, ppSize: 1, dpSize: 3 };
  expect(range(0, 6).map((rank) => replicaRank(rank, size))).toEqual([
    { dpRank: 0, tpRank: 0 },
    { dpRank: 0, tpRank: 1 },
    { dpRank: 1, tpRank: 0 },
    { dpRank: 1, tpRank: 1 },
    { dpRank: 2, tpRank: 0 },
    { dpRank: 2, tpRank: 1 },
  ]);
  expect(() => replicaRank(6, size)).toThrow("engine rank: expected 0 to 5, came 6");
});

test("a room goes to the replica asked for, else to the one its number gives", () => {
  const size = { tpSize: 1, ppSize: 1, dpSize: 4 };
  expect(prefillReplica(10, size)).toBe(2);
  expect(prefillReplica(10, size, 3)).toBe(3);
  expect(prefillReplica(10, { tpSize: 1, ppSize: 1 })).toBe(0);
  expect(() => prefillReplica(10, size, 4)).toThrow("prefill dp rank: expected 0 to 3, came 4");
});

type Deployment = { readonly model: Model; readonly mapping: RankMapping; readonly layers: number };

function randomDeployment(random: Random): Deployment {
  const attention = random.pick(["mha", "mla"] as const);
  const heads = attention === "mla" ? 1 : random.pick([1, 2, 4, 8]);
  const ppSize = random.pick([1, 1, 2, 3]);
  return {
    layers: ppSize + random.below(3),
    mapping: {
      attention,
      totalKvHeads: heads,
      prefill: side(random.pick([1, 2, 4, 8]), ppSize),
      decode: side(random.pick([1, 2, 4, 8]), random.pick([1, ppSize])),
    },
    model: {
      attention,
      heads,
      pageSize: random.pick([1, 2]),
      rowBytes: { k: random.between(1, 3), v: random.between(1, 3), latent: random.between(1, 6) },
      auxBytes: [7, 3],
    },
  };
}

type RankPool = Rank & Pool;

/** Every rank of one side, the layers cut as evenly as they go. */
function pools(random: Random, { model, layers }: Deployment, size: GroupSize, pages: number): RankPool[] {
  const cut = (stage: number): number => Math.floor((layers * stage) / size.ppSize);
  return range(0, size.ppSize).flatMap((ppRank) =>
    range(0, size.tpSize).map((tpRank) => {
      const rank = { tpRank, ppRank };
      const layerRange = { firstLayer: cut(ppRank), lastLayer: cut(ppRank + 1) };
      return { ...rank, ...makePool(random, model, { ...size, ...rank, ...layerRange, pages, slots: 2 }) };
    }),
  );
}

/** Fills the cache with what its bytes mean: ranks with the same heads hold the same bytes, as after a forward pass. */
function compute(model: Model, pool: Pool, pageList: readonly number[], salt: number): void {
  for (const { kind, layer } of pool.layout.buffers) {
    pageList.forEach((page, ordinal) => {
      forBytesOfPage(model, kind, (token, head, byte) => {
        const address = byteAddress(model, pool.layout, { kind, layer, page, token, head, byte });
        if (address !== undefined) pool.memory[address] = meaning(salt, kind, layer, ordinal, token, head, byte);
      });
    });
  }
}

const meaning = (salt: number, kind: string, ...place: number[]): number =>
  (place.reduce((hash, one) => Math.imul(hash ^ one, 0x01000193) >>> 0, salt + kind.charCodeAt(0)) >>> 9) & 0xff;

test("over all ranks of both sides, every byte of a room is written exactly once", () => {
  forSeeds(1, 250, (random) => {
    const deployment = randomDeployment(random);
    const { model, mapping } = deployment;
    const pages = 5;
    const prefills = pools(random, deployment, mapping.prefill, pages);
    const decodes = pools(random, deployment, mapping.decode, pages);
    const list = (): number[] => random.shuffled(range(0, pages)).slice(0, 3);
    const sourcePages = list();
    prefills.forEach((pool) => compute(model, pool, sourcePages, random.seed));
    const asked = new Map(prefills.map((pool) => [pool, new Array<string>()]));

    for (const decode of decodes) {
      const destinationPages = list();
      const before = decode.memory.slice();
      const wanted = { ...decode, memory: decode.memory.slice() };
      compute(model, wanted, destinationPages, random.seed);
      const times = new Uint8Array(decode.memory.length);
      const { links, completions } = prefillRanksOf(mapping, decode);
      let senders = 0;
      for (const link of links) {
        const prefill = prefills.find((pool) => pool.tpRank === link.tpRank && pool.ppRank === link.ppRank)!;
        asked.get(prefill)!.push(shown([{ ...link, tpRank: decode.tpRank, ppRank: decode.ppRank }]));
        if (link.dummy) continue;
        senders++;
        const sides = { source: prefill.layout, destination: decode.layout };
        const lists = {
          sourcePages: Int32Array.from(sourcePages),
          destinationPages: Int32Array.from(destinationPages),
        };
        const pagePlan = planPages({ ...sides, ...lists });
        expect(pagePlan.bytes).toBeGreaterThan(0);
        const auxPlan = link.aux ? planAux({ ...sides, sourceIndex: 1, destinationIndex: 0 }) : emptyPlan;
        for (const plan of [pagePlan, auxPlan]) {
          applyPlan(plan, prefill.memory, decode.memory).forEach((count, at) => (times[at]! += count));
        }
      }
      expect(completions).toBe(senders);

      const slots = decode.layout.aux.map((one) => one.address);
      const inSlot = (at: number): boolean =>
        decode.layout.aux.some((one, i) => at >= slots[i]! && at < slots[i]! + one.itemBytes);
      const inPage = new Set<number>();
      for (const { kind, layer } of decode.layout.buffers) {
        for (const page of destinationPages) {
          forBytesOfPage(model, kind, (token, head, byte) => {
            inPage.add(byteAddress(model, decode.layout, { kind, layer, page, token, head, byte }) ?? -1);
          });
        }
      }
      decode.memory.forEach((byte, at) => {
        const due = inPage.has(at) || inSlot(at) ? 1 : 0;
        if (times[at] !== due) throw new Error(`byte ${at}: written ${times[at]} times instead of ${due}`);
        const right = due === 0 ? before[at] : wanted.memory[at];
        if (!inSlot(at) && byte !== right) throw new Error(`byte ${at}: expected ${right}, came ${byte}`);
      });
    }

    for (const prefill of prefills) {
      const { links, infos } = decodeRanksOf(mapping, prefill);
      expect(links.map((link) => shown([link])).toSorted()).toEqual(asked.get(prefill)!.toSorted());
      expect(infos).toBe(asked.get(prefill)!.length);
    }
  });
});
