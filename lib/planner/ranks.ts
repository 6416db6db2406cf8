import { PlanError } from "./errors.ts";
import { headCopies, type HeadSharding } from "./heads.ts";

/** Ranks of one side. `tpSize` counts the attention-parallel ranks of one data-parallel replica. */
export type GroupSize = { readonly tpSize: number; readonly ppSize: number; readonly dpSize?: number };

/** A rank inside its data-parallel replica. */
export type Rank = { readonly tpRank: number; readonly ppRank: number };

export type RankMapping = HeadSharding & { readonly prefill: GroupSize; readonly decode: GroupSize };

/** A pair of ranks, seen from one end: the rank at the other. */
export type RankLink = Rank & {
  /** The prefill rank goes through every state of the room but sends no bytes: another has the same ones. */
  readonly dummy: boolean;
  /**
   * The prefill rank sends the aux slot: one rank for each decode rank. It is the first of those with the last layers, for
   * the first token comes out there.
   */
  readonly aux: boolean;
};

/**
 * The prefill ranks that one decode rank asks for its cache, and from how many of them it waits for a completion.
 * SGLang's rule (`common/conn.py`), with one difference: where key/value heads are replicated, the copies are dummies
 * too, so that every byte is written once.
 * @throws PlanError RANK_MISMATCH where the sizes do not divide, or the rank is not in its group
 */
export function prefillRanksOf(
  mapping: RankMapping,
  decode: Rank,
): { readonly links: readonly RankLink[]; readonly completions: number } {
  checkMapping(mapping);
  checkRank("decode", decode, mapping.decode);
  const { prefill } = mapping;
  const tpRanks = peerTpRanks(decode.tpRank, mapping.decode.tpSize, prefill.tpSize);
  const ppRanks = mapping.decode.ppSize === prefill.ppSize ? [decode.ppRank] : range(0, prefill.ppSize);
  const links = ppRanks.flatMap((ppRank) =>
    tpRanks.map((tpRank): RankLink => ({ tpRank, ppRank, ...part(mapping, { tpRank, ppRank }) })),
  );
  return { links, completions: links.filter((link) => !link.dummy).length };
}

/**
 * The decode ranks that send a room to one prefill rank, which is ready when it has heard from all of them (`infos`).
 * @throws PlanError RANK_MISMATCH
 */
export function decodeRanksOf(
  mapping: RankMapping,
  prefill: Rank,
): { readonly links: readonly RankLink[]; readonly infos: number } {
  checkMapping(mapping);
  checkRank("prefill", prefill, mapping.prefill);
  const ppRank = mapping.decode.ppSize === mapping.prefill.ppSize ? prefill.ppRank : 0;
  const role = part(mapping, prefill);
  const links = peerTpRanks(prefill.tpRank, mapping.prefill.tpSize, mapping.decode.tpSize).map((tpRank): RankLink => ({
    tpRank,
    ppRank,
    ...role,
  }));
  return { links, infos: links.length };
}

/**
 * Where rank `engineRank` of a pipeline stage stands: replicas follow one another, `tpSize` ranks each.
 * @throws PlanError RANK_MISMATCH
 */
export function replicaRank(engineRank: number, size: GroupSize): { readonly dpRank: number; readonly tpRank: number } {
  const ranks = size.tpSize * (size.dpSize ?? 1);
  if (!isIndex(engineRank, ranks)) throw new PlanError("RANK_MISMATCH", "engine rank", `0 to ${ranks - 1}`, engineRank);
  return { dpRank: Math.floor(engineRank / size.tpSize), tpRank: engineRank % size.tpSize };
}

/**
 * The prefill replica that serves a room: the one asked for, else the room's number modulo the replicas
 * (SGLang's `follow_bootstrap_room`).
 * @throws PlanError RANK_MISMATCH
 */
export function prefillReplica(room: number, prefill: GroupSize, asked?: number): number {
  const replicas = prefill.dpSize ?? 1;
  if (asked === undefined) return room % replicas;
  if (!isIndex(asked, replicas)) throw new PlanError("RANK_MISMATCH", "prefill dp rank", `0 to ${replicas - 1}`, asked);
  return asked;
}

/** Ranks of the other side that share heads with `rank`: one where that side is no larger, else a row of neighbours. */
function peerTpRanks(rank: number, size: number, peerSize: number): number[] {
  if (peerSize <= size) return [Math.floor(rank / (size / peerSize))];
  const ratio = peerSize / size;
  return range(rank * ratio, ratio);
}

/** Of the prefill ranks that serve one decode rank, only the first with given heads sends them. */
function part(mapping: RankMapping, prefill: Rank): { readonly dummy: boolean; readonly aux: boolean } {
  const perDecode = Math.max(1, mapping.prefill.tpSize / mapping.decode.tpSize);
  const place = prefill.tpRank % perDecode;
  const stages = mapping.prefill.ppSize;
  const hasLastLayers = mapping.decode.ppSize === stages || prefill.ppRank === stages - 1;
  const dummy = place % headCopies(mapping, mapping.prefill.tpSize) !== 0;
  return { dummy, aux: place === 0 && hasLastLayers };
}

function checkMapping(mapping: RankMapping): void {
  const { prefill, decode } = mapping;
  if (prefill.tpSize % decode.tpSize !== 0 && decode.tpSize % prefill.tpSize !== 0) {
    throw new PlanError(
      "RANK_MISMATCH",
      "decode tp size",
      `a divisor or multiple of prefill's ${prefill.tpSize}`,
      decode.tpSize,
    );
  }
  if (decode.ppSize !== 1 && decode.ppSize !== prefill.ppSize) {
    throw new PlanError("RANK_MISMATCH", "decode pp size", `1 or prefill's ${prefill.ppSize}`, decode.ppSize);
  }
  headCopies(mapping, prefill.tpSize);
  headCopies(mapping, decode.tpSize);
}

function checkRank(side: string, rank: Rank, size: GroupSize): void {
  if (!isIndex(rank.tpRank, size.tpSize)) {
    throw new PlanError("RANK_MISMATCH", `${side} tp rank`, `0 to ${size.tpSize - 1}`, rank.tpRank);
  }
  if (!isIndex(rank.ppRank, size.ppSize)) {
    throw new PlanError("RANK_MISMATCH", `${side} pp rank`, `0 to ${size.ppSize - 1}`, rank.ppRank);
  }
}

function isIndex(value: number, size: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < size;
}

function range(start: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => start + index);
}
