import { z } from "zod";
import { PlanError } from "./errors.ts";
import { headRange } from "./heads.ts";

const count = z.int().positive();
const rank = z.int().nonnegative();
/** Addresses are plain numbers; those of user space are far below 2^53. */
const address = z.int().nonnegative();

const kvBufferSchema = z
  .strictObject({
    kind: z.enum(["k", "v", "latent"]),
    layer: rank,
    address,
    /** Bytes of the whole buffer. */
    length: count,
    /** Bytes of one page. Page p is at `address + p * itemBytes`; inside a page the order is [token][head][headDim]. */
    itemBytes: count,
  })
  .readonly();

const auxBufferSchema = z
  .strictObject({
    address,
    length: count,
    /** Bytes of one slot. Slot i is at `address + i * itemBytes`. */
    itemBytes: count,
  })
  .readonly();

const layoutShape = z
  .strictObject({
    /** Tokens of a page. */
    pageSize: count,
    attention: z.enum(["mha", "mla"]),
    /** Key/value heads of the whole model; 1 for MLA. */
    totalKvHeads: count,
    /** Key/value heads of this rank; 1 for MLA. */
    kvHeads: count,
    tpRank: rank,
    tpSize: count,
    ppRank: rank,
    ppSize: count,
    firstLayer: rank,
    /** Exclusive. */
    lastLayer: count,
    dtype: z.string().min(1),
    /** SGLang's order for MHA is all K, then all V; nothing here depends on it. */
    buffers: z.array(kvBufferSchema).readonly(),
    aux: z.array(auxBufferSchema).readonly(),
  })
  .readonly();

/** One layer's keys, values or latents, paged. Addresses and lengths in bytes. */
export type KVBuffer = z.infer<typeof kvBufferSchema>;
/** A table of fixed-size slots, one slot per request. */
export type AuxBuffer = z.infer<typeof auxBufferSchema>;
/**
 * One rank's paged KV pool: what a peer needs to know to write into it. Plain JSON. SGLang has the same facts in
 * `KVArgs` (kv_data_ptrs, kv_data_lens, kv_item_lens, kv_layer_ids, page_size, kv_head_num, total_kv_head_num).
 */
export type KVLayout = z.infer<typeof layoutShape>;

/**
 * No pool has more: 2^26 pages of one token are terabytes. The planner keeps 4 bytes for each page of a destination, and
 * a peer that claims more must not decide how much memory that takes.
 */
const MAX_PAGES = 2 ** 26;

/** Pages that every buffer of the layout has. */
export function pageCapacity(layout: KVLayout): number {
  return layout.buffers.reduce((pages, one) => Math.min(pages, Math.floor(one.length / one.itemBytes)), Infinity);
}

/** Aux slots that every aux buffer of the layout has. */
export function auxCapacity(layout: KVLayout): number {
  return layout.aux.reduce((slots, one) => Math.min(slots, Math.floor(one.length / one.itemBytes)), Infinity);
}

/** How many pages and aux slots an engine may name. */
export interface PoolCapacity {
  readonly pages: number;
  readonly auxSlots: number;
}

/** None of what the layout has no buffer for. */
export function poolCapacity(layout: KVLayout): PoolCapacity {
  const finite = (count: number): number => (Number.isFinite(count) ? count : 0);
  return { pages: finite(pageCapacity(layout)), auxSlots: finite(auxCapacity(layout)) };
}

/**
 * Holds a layout against itself: every layer has its buffers exactly once, pages divide into tokens and heads.
 * @throws PlanError INVALID_LAYOUT or RANK_MISMATCH
 */
export function checkLayout(layout: KVLayout): void {
  const { attention, totalKvHeads, kvHeads, tpRank, tpSize, ppRank, ppSize, firstLayer, lastLayer } = layout;
  if (tpRank >= tpSize) throw invalid("tpRank", `less than ${tpSize}`, tpRank);
  if (ppRank >= ppSize) throw invalid("ppRank", `less than ${ppSize}`, ppRank);
  if (lastLayer <= firstLayer) throw invalid("lastLayer", `more than ${firstLayer}`, lastLayer);
  if (attention === "mla" && totalKvHeads !== 1) throw invalid("totalKvHeads of an MLA layout", 1, totalKvHeads);
  const heads = headRange(layout, tpSize, tpRank).count;
  if (kvHeads !== heads) throw invalid("kvHeads of this rank", heads, kvHeads);

  const kinds = attention === "mla" ? ["latent"] : ["k", "v"];
  const seen = new Set<string>();
  for (const buffer of layout.buffers) {
    const name = bufferName(buffer);
    if (!kinds.includes(buffer.kind)) throw invalid(`kind of ${name}`, kinds.join(" or "), buffer.kind);
    if (buffer.layer < firstLayer || buffer.layer >= lastLayer) {
      throw invalid(`layer of ${name}`, `${firstLayer} to ${lastLayer - 1}`, buffer.layer);
    }
    if (seen.has(name)) throw invalid(name, "one buffer", "two");
    seen.add(name);
    if (buffer.itemBytes % (layout.pageSize * kvHeads) !== 0) {
      throw invalid(
        `itemBytes of ${name}`,
        `a multiple of ${layout.pageSize} tokens x ${kvHeads} heads`,
        buffer.itemBytes,
      );
    }
    checkExtent(name, buffer);
    const pages = Math.floor(buffer.length / buffer.itemBytes);
    if (pages > MAX_PAGES) throw invalid(`pages of ${name}`, `at most ${MAX_PAGES}`, pages);
  }
  const wanted = (lastLayer - firstLayer) * kinds.length;
  if (seen.size !== wanted)
    throw invalid("number of buffers", `${wanted} (${kinds.join(", ")} for every layer)`, seen.size);
  layout.aux.forEach((buffer, index) => checkExtent(`aux buffer ${index}`, buffer));
}

/** How messages name a buffer. */
export function bufferName(buffer: Pick<KVBuffer, "kind" | "layer">): string {
  return `${buffer.kind} buffer of layer ${buffer.layer}`;
}

function checkExtent(name: string, buffer: AuxBuffer): void {
  if (buffer.length < buffer.itemBytes)
    throw invalid(`length of ${name}`, `at least ${buffer.itemBytes}`, buffer.length);
  if (!Number.isSafeInteger(buffer.address + buffer.length)) {
    throw invalid(`end of ${name}`, "an address below 2^53", buffer.address + buffer.length);
  }
}

function invalid(what: string, expected: string | number, came: string | number): PlanError {
  return new PlanError("INVALID_LAYOUT", what, expected, came);
}

/** Parses a layout that came from outside (a `register` message) and holds it against itself. */
export const kvLayoutSchema = layoutShape.superRefine((layout, context) => {
  try {
    checkLayout(layout);
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    context.addIssue({ code: "custom", message: error.message });
  }
});
