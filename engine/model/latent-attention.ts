import { required } from "../checkpoint/index.ts";
import type { KvPool } from "../kvcache/index.ts";
import { Attention, Linear, type RmsNorm, type Rope } from "../math/index.ts";
import type { AttentionLayer, AttentionStack } from "./attention-layer.ts";
import type { Batch } from "./batch.ts";
import { createRope } from "./rope-config.ts";
import type { Weights } from "./weights.ts";
import type { Workspace } from "./workspace.ts";

const ARCHITECTURE = "DeepseekV3ForCausalLM";

/** Sizes of config.json, by the names of the paper: a head's query and key are [nope | rope]. */
interface LatentSizes {
  readonly heads: number;
  readonly rank: number;
  readonly nope: number;
  readonly rope: number;
  readonly value: number;
}

interface Projections {
  /** Query, through a low rank where the checkpoint has one: [heads][nope + rope]. */
  readonly query: QueryProjection;
  /** [rank + rope]: the compressed latent and the key's rotary part, which all heads share. */
  readonly latent: Linear;
  readonly latentNorm: RmsNorm;
  /** Per head, nope → rank: brings a query to the latent, so that it meets the cache as it is. */
  readonly absorbKey: readonly Linear[];
  /** Per head, rank → value. */
  readonly expandValue: readonly Linear[];
  readonly output: Linear;
}

interface QueryProjection {
  readonly down: Linear | null;
  readonly norm: RmsNorm | null;
  readonly up: Linear;
}

/**
 * Multi-head latent attention (DeepSeek-V2, 2024) in its absorbed form: the cache holds per token one normalised latent
 * of kv_lora_rank elements and one rotary key, and no head's own keys or values. Keys' up-projection is folded into the
 * query, values' one is applied after the attention.
 */
export class LatentAttention implements AttentionLayer {
  readonly #layer: number;
  readonly #sizes: LatentSizes;
  readonly #projections: Projections;
  readonly #rope: Rope;
  readonly #attention: Attention;

  private constructor(layer: number, sizes: LatentSizes, projections: Projections, rope: Rope, attention: Attention) {
    this.#layer = layer;
    this.#sizes = sizes;
    this.#projections = projections;
    this.#rope = rope;
    this.#attention = attention;
  }

  static async loadStack(weights: Weights): Promise<AttentionStack> {
    const { config } = weights.checkpoint;
    const sizes: LatentSizes = {
      heads: config.num_attention_heads,
      rank: required(config.kv_lora_rank, "kv_lora_rank", ARCHITECTURE),
      nope: required(config.qk_nope_head_dim, "qk_nope_head_dim", ARCHITECTURE),
      rope: required(config.qk_rope_head_dim, "qk_rope_head_dim", ARCHITECTURE),
      value: required(config.v_head_dim, "v_head_dim", ARCHITECTURE),
    };
    const tokenSize = sizes.rank + sizes.rope;
    const rope = createRope(config, sizes.rope, config.rope_interleave, weights.ropePrecision);
    const attention = new Attention({
      heads: sizes.heads,
      kvHeads: 1,
      keySize: tokenSize,
      valueSize: sizes.rank,
      keyStride: tokenSize,
      keyHeadStride: 0,
      valueStride: tokenSize,
      valueHeadStride: 0,
      scale: (sizes.nope + sizes.rope) ** -0.5,
    });
    const layers: LatentAttention[] = [];
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      const projections = await loadProjections(weights, `model.layers.${layer}.self_attn`, sizes);
      layers.push(new LatentAttention(layer, sizes, projections, rope, attention));
    }
    return { layers, layout: { layers: layers.length, heads: 1, buffers: [{ kind: "latent", tokenSize }] } };
  }

  apply(x: Float32Array, y: Float32Array, batch: Batch, pool: KvPool, workspace: Workspace): void {
    const { heads, rank, value } = this.#sizes;
    const { expandValue, output } = this.#projections;
    const { rows } = batch;
    const cache = pool.data("latent", this.#layer);
    this.#cacheLatent(x, cache, batch, workspace);
    const query = this.#absorbedQuery(x, batch, workspace);
    const querySize = heads * this.#attention.shape.keySize;
    const mixed = workspace.floats("mixed", rows * heads * rank);
    for (let row = 0; row < rows; row++) {
      const length = batch.positions[row]! + 1;
      this.#attention.apply(query, row * querySize, cache, cache, batch.slots[row]!, length, mixed, row * heads * rank);
    }
    const values = workspace.floats("value", rows * heads * value);
    for (let head = 0; head < heads; head++) {
      expandValue[head]!.apply(mixed, values, rows, head * rank, heads * rank, head * value, heads * value);
    }
    output.apply(values, y, rows);
  }

  /** Puts each row's normalised latent and rotary key into its slot. */
  #cacheLatent(x: Float32Array, cache: Float32Array, batch: Batch, workspace: Workspace): void {
    const { latent, latentNorm } = this.#projections;
    const size = latent.outputs;
    const compressed = workspace.floats("latent", batch.rows * size);
    latent.apply(x, compressed, batch.rows);
    latentNorm.apply(compressed, compressed, batch.rows, 0, size, 0, size);
    for (let row = 0; row < batch.rows; row++) {
      this.#rope.apply(compressed, row * size + this.#sizes.rank, batch.positions[row]!);
      cache.set(compressed.subarray(row * size, (row + 1) * size), batch.slot(row) * size);
    }
  }

  /** [rows][heads][rank + rope]: the queries as the cached latents are. */
  #absorbedQuery(x: Float32Array, batch: Batch, workspace: Workspace): Float32Array {
    const { heads, nope, rope, rank } = this.#sizes;
    const { query, absorbKey } = this.#projections;
    const { rows } = batch;
    const from = heads * (nope + rope);
    const to = heads * (rank + rope);
    const q = workspace.floats("query", rows * from);
    projectQuery(query, x, q, rows, workspace);
    const absorbed = workspace.floats("absorbed", rows * to);
    for (let head = 0; head < heads; head++) {
      const at = head * (nope + rope);
      const target = head * (rank + rope);
      absorbKey[head]!.apply(q, absorbed, rows, at, from, target, to);
      for (let row = 0; row < rows; row++) {
        const source = row * from + at + nope;
        this.#rope.apply(q, source, batch.positions[row]!);
        absorbed.set(q.subarray(source, source + rope), row * to + target + rank);
      }
    }
    return absorbed;
  }
}

function projectQuery(
  query: QueryProjection,
  x: Float32Array,
  q: Float32Array,
  rows: number,
  workspace: Workspace,
): void {
  if (query.down === null || query.norm === null) return query.up.apply(x, q, rows);
  const low = workspace.floats("low-rank query", rows * query.down.outputs);
  query.down.apply(x, low, rows);
  query.norm.apply(low, low, rows);
  query.up.apply(low, q, rows);
}

async function loadProjections(weights: Weights, name: string, sizes: LatentSizes): Promise<Projections> {
  const { config } = weights.checkpoint;
  const { heads, rank, nope, rope, value } = sizes;
  const hidden = config.hidden_size;
  const expand = await weights.checkpoint.tensor(`${name}.kv_b_proj.weight`, [heads * (nope + value), rank]);
  const absorbKey: Linear[] = [];
  const expandValue: Linear[] = [];
  for (let head = 0; head < heads; head++) {
    const at = head * (nope + value) * rank;
    absorbKey.push(new Linear(transpose(expand.subarray(at, at + nope * rank), nope, rank), rank, nope));
    expandValue.push(new Linear(expand.subarray(at + nope * rank, at + (nope + value) * rank), value, rank));
  }
  return {
    query: await loadQuery(weights, name, heads * (nope + rope)),
    latent: await weights.linear(`${name}.kv_a_proj_with_mqa`, rank + rope, hidden, config.attention_bias),
    latentNorm: await weights.norm(`${name}.kv_a_layernorm`, rank),
    absorbKey,
    expandValue,
    output: await weights.linear(`${name}.o_proj`, hidden, heads * value, config.attention_bias),
  };
}

async function loadQuery(weights: Weights, name: string, outputs: number): Promise<QueryProjection> {
  const { hidden_size: hidden, q_lora_rank: low, attention_bias: bias } = weights.checkpoint.config;
  if (low === null || low === undefined) {
    return { down: null, norm: null, up: await weights.linear(`${name}.q_proj`, outputs, hidden) };
  }
  return {
    down: await weights.linear(`${name}.q_a_proj`, low, hidden, bias),
    norm: await weights.norm(`${name}.q_a_layernorm`, low),
    up: await weights.linear(`${name}.q_b_proj`, outputs, low),
  };
}

/** [rows][columns] → [columns][rows]. */
function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) turned[column * rows + row] = matrix[row * columns + column]!;
  }
  return turned;
}
