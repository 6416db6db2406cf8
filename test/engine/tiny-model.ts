import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "./random.ts";
import { type TensorSource, writeSafetensors } from "./safetensors-writer.ts";

/** A Llama of two heads and one layer with random weights: small enough to take apart. */
export const tinyConfig = {
  architectures: ["LlamaForCausalLM"],
  vocab_size: 16,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: false,
  eos_token_id: 1,
};

export type Tensors = Record<string, TensorSource>;

export function tinyTensors(type: TensorSource["type"] = "F32", bias = false): Tensors {
  const random = createRandom(42);
  const tensors: Tensors = {};
  const put = (name: string, ...shape: number[]) => {
    const length = shape.reduce((a, b) => a * b);
    // Multiples of 1/64 below 1 are exact in all three types.
    tensors[name] = { type, shape, values: Array.from({ length }, () => Math.round(random() * 63) / 64) };
  };
  const layer = "model.layers.0";
  put("model.embed_tokens.weight", 16, 8);
  put(`${layer}.input_layernorm.weight`, 8);
  put(`${layer}.self_attn.q_proj.weight`, 8, 8);
  put(`${layer}.self_attn.k_proj.weight`, 4, 8);
  put(`${layer}.self_attn.v_proj.weight`, 4, 8);
  put(`${layer}.self_attn.o_proj.weight`, 8, 8);
  put(`${layer}.post_attention_layernorm.weight`, 8);
  put(`${layer}.mlp.gate_proj.weight`, 12, 8);
  put(`${layer}.mlp.up_proj.weight`, 12, 8);
  put(`${layer}.mlp.down_proj.weight`, 8, 12);
  put("model.norm.weight", 8);
  put("lm_head.weight", 16, 8);
  if (bias) {
    put(`${layer}.self_attn.q_proj.bias`, 8);
    put(`${layer}.self_attn.k_proj.bias`, 4);
    put(`${layer}.self_attn.v_proj.bias`, 4);
  }
  return tensors;
}

/** Writes a checkpoint directory, as one file or in two shards with an index. */
export async function writeCheckpoint(
  directory: string,
  config: Record<string, unknown>,
  tensors: Tensors,
  sharded = false,
): Promise<string> {
  await mkdir(directory, { recursive: true });
  await Bun.write(join(directory, "config.json"), JSON.stringify(config));
  if (!sharded) {
    await Bun.write(join(directory, "model.safetensors"), writeSafetensors(tensors));
    return directory;
  }
  const weightMap: Record<string, string> = {};
  const entries = Object.entries(tensors);
  for (const shard of [0, 1]) {
    const file = `model-0000${shard + 1}-of-00002.safetensors`;
    const part = entries.filter((_, i) => i % 2 === shard);
    for (const [name] of part) weightMap[name] = file;
    await Bun.write(join(directory, file), writeSafetensors(Object.fromEntries(part)));
  }
  await Bun.write(join(directory, "model.safetensors.index.json"), JSON.stringify({ weight_map: weightMap }));
  return directory;
}
