import { z } from "zod";
import { KVUserError } from "./errors.ts";
import { checkLayout, type KVLayout, PlanError } from "./planner/index.ts";

const address = z.int().nonnegative();
const bytes = z.int().positive();
const index = z.int().nonnegative();
const size = z.int().positive();

/**
 * What an engine hands the library once: SGLang's KVArgs (base/conn.py) in camel case. For MHA the page buffers are
 * all K, then all V, in the order of their layers; for MLA one latent buffer a layer. Lengths and items in bytes: an
 * item of a page buffer is a page, one of an aux buffer is a request's slot.
 */
export const kvArgsSchema = z.strictObject({
  kvDataPtrs: z.array(address).min(1),
  kvDataLens: z.array(bytes),
  kvItemLens: z.array(bytes),
  auxDataPtrs: z.array(address).default([]),
  auxDataLens: z.array(bytes).default([]),
  auxItemLens: z.array(bytes).default([]),
  pageSize: size,
  attention: z.enum(["mha", "mla"]),
  kvCacheDtype: z.string().min(1),
  /** Key/value heads of this rank and of the model; not for MLA. */
  kvHeadNum: size.default(1),
  totalKvHeadNum: size.default(1),
  /** Layers of this pipeline rank: `[start, end)`. */
  prefillStartLayer: index.default(0),
  prefillEndLayer: size.optional(),
  /** The rank inside its data-parallel replica. */
  tpRank: index.default(0),
  tpSize: size.default(1),
  ppRank: index.default(0),
  ppSize: size.default(1),
  dpRank: index.default(0),
  dpSize: size.default(1),
});

export type KVArgs = z.input<typeof kvArgsSchema>;
export type ParsedKVArgs = z.output<typeof kvArgsSchema>;

/** @throws {KVUserError} BAD_ARGUMENT naming the field, what was expected and what came. */
export function parseArgs(args: KVArgs): { args: ParsedKVArgs; layout: KVLayout } {
  const result = kvArgsSchema.safeParse(args);
  if (!result.success) throw new KVUserError("BAD_ARGUMENT", `KVArgs: ${z.prettifyError(result.error)}`);
  const parsed = result.data;
  sameLength(parsed, ["kvDataPtrs", "kvDataLens", "kvItemLens"]);
  sameLength(parsed, ["auxDataPtrs", "auxDataLens", "auxItemLens"]);
  const layout = toLayout(parsed);
  try {
    checkLayout(layout);
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    throw new KVUserError("BAD_ARGUMENT", `KVArgs: ${error.message}`, { cause: error });
  }
  return { args: parsed, layout };
}

function sameLength(
  args: ParsedKVArgs,
  fields: readonly ("kvDataPtrs" | "kvDataLens" | "kvItemLens" | "auxDataPtrs" | "auxDataLens" | "auxItemLens")[],
): void {
  const lengths = fields.map((field) => args[field].length);
  if (new Set(lengths).size === 1) return;
  throw new KVUserError(
    "BAD_ARGUMENT",
    `KVArgs: ${fields.join(", ")} must have one entry per buffer, but have ${lengths.join(", ")}`,
  );
}

function toLayout(args: ParsedKVArgs): KVLayout {
  const kinds = args.attention === "mla" ? (["latent"] as const) : (["k", "v"] as const);
  const layers = args.kvDataPtrs.length / kinds.length;
  return {
    pageSize: args.pageSize,
    attention: args.attention,
    totalKvHeads: args.totalKvHeadNum,
    kvHeads: args.kvHeadNum,
    tpRank: args.tpRank,
    tpSize: args.tpSize,
    ppRank: args.ppRank,
    ppSize: args.ppSize,
    firstLayer: args.prefillStartLayer,
    lastLayer: args.prefillEndLayer ?? args.prefillStartLayer + layers,
    dtype: args.kvCacheDtype,
    buffers: args.kvDataPtrs.map((pointer, i) => ({
      kind: kinds[Math.min(kinds.length - 1, Math.floor(i / layers))]!,
      layer: args.prefillStartLayer + (i % layers),
      address: pointer,
      length: args.kvDataLens[i]!,
      itemBytes: args.kvItemLens[i]!,
    })),
    aux: args.auxDataPtrs.map((pointer, i) => ({
      address: pointer,
      length: args.auxDataLens[i]!,
      itemBytes: args.auxItemLens[i]!,
    })),
  };
}
