import type { KvLayout, KvPool } from "../kvcache/index.ts";
import type { Batch } from "./batch.ts";
import type { Workspace } from "./workspace.ts";

/** The attention of one layer, projections included: the part in which architectures differ. */
export interface AttentionLayer {
  /** `y = attention(x)` for the batch's rows of the hidden size; writes the rows' keys and values into the pool first. */
  apply(x: Float32Array, y: Float32Array, batch: Batch, pool: KvPool, workspace: Workspace): void;
}

/** The attention layers of a model and what they keep in the cache. */
export interface AttentionStack {
  readonly layers: readonly AttentionLayer[];
  readonly layout: KvLayout;
}
