import { PlanError } from "./errors.ts";

/** How the key and value heads of a model are spread over tensor-parallel ranks. */
export type HeadSharding = {
  readonly attention: "mha" | "mla";
  /** Key/value heads of the whole model; 1 for MLA, whose latent has no heads. */
  readonly totalKvHeads: number;
};

/** Heads `[start, start + count)` of the model. */
export type HeadRange = { readonly start: number; readonly count: number };

/**
 * The heads that one rank holds. With fewer heads than ranks, `tpSize / totalKvHeads` neighbouring ranks hold a copy of
 * the same head; an MLA latent is whole on every rank.
 * @throws PlanError RANK_MISMATCH where heads and ranks do not divide each other.
 */
export function headRange(sharding: HeadSharding, tpSize: number, tpRank: number): HeadRange {
  if (sharding.attention === "mla") return { start: 0, count: 1 };
  const copies = headCopies(sharding, tpSize);
  const count = Math.max(1, sharding.totalKvHeads / tpSize);
  return { start: Math.floor(tpRank / copies) * count, count };
}

/** How many neighbouring ranks hold the same heads: all of them for MLA, 1 where there are at least as many heads as ranks. */
export function headCopies(sharding: HeadSharding, tpSize: number): number {
  if (sharding.attention === "mla") return tpSize;
  const heads = sharding.totalKvHeads;
  if (heads % tpSize !== 0 && tpSize % heads !== 0) {
    throw new PlanError("RANK_MISMATCH", "key/value heads over ranks", `a divisor or multiple of ${heads}`, tpSize);
  }
  return Math.max(1, tpSize / heads);
}
