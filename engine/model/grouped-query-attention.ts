import type { KvPool } from "../kvcache/index.ts";
import { Attention, type Linear, type Rope } from "../math/index.ts";
import type { AttentionLayer, AttentionStack } from "./attention-layer.ts";
import type { Batch } from "./batch.ts";
import { createRope } from "./rope-config.ts";
import type { Weights } from "./weights.ts";
import type { Workspace } from "./workspace.ts";

interface Projections {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
}

/** Which projections have biases: the one thing in which Llama and Qwen2 differ here. */
export interface AttentionBias {
  readonly input: boolean;
  readonly output: boolean;
}

/** Attention in which several query heads share a head of keys and values (Ainslie et al. 2023), as in Llama and Qwen2. */
export class GroupedQueryAttention implements AttentionLayer {
  readonly #layer: number;
  readonly #projections: Projections;
  readonly #rope: Rope;
  readonly #attention: Attention;

  private constructor(layer: number, projections: Projections, rope: Rope, attention: Attention) {
    this.#layer = layer;
    this.#projections = projections;
    this.#rope = rope;
    this.#attention = attention;
  }

  static async loadStack(weights: Weights, bias: AttentionBias): Promise<AttentionStack> {
    const { config } = weights.checkpoint;
    const heads = config.num_attention_heads;
    const kvHeads = config.num_key_value_heads ?? heads;
    const headSize = config.head_dim ?? config.hidden_size / heads;
    const tokenSize = kvHeads * headSize;
    const rope = createRope(config, headSize, false, weights.ropePrecision);
    const attention = new Attention({
      heads,
      kvHeads,
      keySize: headSize,
      valueSize: headSize,
      keyStride: tokenSize,
      keyHeadStride: headSize,
      valueStride: tokenSize,
      valueHeadStride: headSize,
      scale: headSize ** -0.5,
    });
    const layers: GroupedQueryAttention[] = [];
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      const name = `model.layers.${layer}.self_attn`;
      const projections: Projections = {
        query: await weights.linear(`${name}.q_proj`, heads * headSize, config.hidden_size, bias.input),
        key: await weights.linear(`${name}.k_proj`, tokenSize, config.hidden_size, bias.input),
        value: await weights.linear(`${name}.v_proj`, tokenSize, config.hidden_size, bias.input),
        output: await weights.linear(`${name}.o_proj`, config.hidden_size, heads * headSize, bias.output),
      };
      layers.push(new GroupedQueryAttention(layer, projections, rope, attention));
    }
    const buffers = [
      { kind: "key", tokenSize },
      { kind: "value", tokenSize },
    ] as const;
    return { layers, layout: { layers: layers.length, heads: kvHeads, buffers } };
  }

  apply(x: Float32Array, y: Float32Array, batch: Batch, pool: KvPool, workspace: Workspace): void {
    const { query, key, value, output } = this.#projections;
    const { rows } = batch;
    const keys = pool.data("key", this.#layer);
    const values = pool.data("value", this.#layer);
    const q = workspace.floats("query", rows * query.outputs);
    const k = workspace.floats("key", rows * key.outputs);
    const v = workspace.floats("value", rows * value.outputs);
    query.apply(x, q, rows);
    key.apply(x, k, rows);
    value.apply(x, v, rows);
    for (let row = 0; row < rows; row++) {
      this.#turn(q, row * query.outputs, query.outputs, batch.positions[row]!);
      this.#turn(k, row * key.outputs, key.outputs, batch.positions[row]!);
      const slot = batch.slot(row);
      keys.set(k.subarray(row * key.outputs, (row + 1) * key.outputs), slot * key.outputs);
      values.set(v.subarray(row * value.outputs, (row + 1) * value.outputs), slot * value.outputs);
    }
    const mixed = workspace.floats("mixed", rows * output.inputs);
    for (let row = 0; row < rows; row++) {
      const length = batch.positions[row]! + 1;
      const at = row * output.inputs;
      this.#attention.apply(q, at, keys, values, batch.slots[row]!, length, mixed, at);
    }
    output.apply(mixed, y, rows);
  }

  #turn(x: Float32Array, offset: number, length: number, position: number): void {
    for (let at = offset; at < offset + length; at += this.#rope.dimension) this.#rope.apply(x, at, position);
  }
}
