import { join } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../errors.ts";

const size = z.number().int().positive();
const tokenIds = z.union([z.number().int().nonnegative(), z.array(z.number().int().nonnegative())]).nullish();

const ropeSchema = z.looseObject({
  rope_type: z.string().optional(),
  /** The name that older checkpoints use. */
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: size.optional(),
});

/** What is read of a Hugging Face config.json. Fields of one architecture are optional here and asked for by its model. */
export const modelConfigSchema = z.looseObject({
  architectures: z.array(z.string()).min(1),
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  max_position_embeddings: size,
  /** Written by transformers 5; older versions write torch_dtype. */
  dtype: z.string().optional(),
  rms_norm_eps: z.number().positive(),
  hidden_act: z.string().default("silu"),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  use_sliding_window: z.boolean().default(false),
  bos_token_id: tokenIds,
  eos_token_id: tokenIds,
  rope_theta: z.number().positive().optional(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
  rope_interleave: z.boolean().default(true),
  quantization_config: z.unknown().optional(),
  q_lora_rank: size.nullish(),
  kv_lora_rank: size.optional(),
  qk_nope_head_dim: size.optional(),
  qk_rope_head_dim: size.optional(),
  v_head_dim: size.optional(),
  first_k_dense_replace: z.number().int().nonnegative().optional(),
});

export type ModelConfig = z.infer<typeof modelConfigSchema>;

const generationConfigSchema = z.looseObject({ eos_token_id: tokenIds });

/** @throws {CheckpointError} CHECKPOINT_NOT_FOUND or CONFIG_INVALID. */
export async function readModelConfig(directory: string): Promise<ModelConfig> {
  const config = parse(modelConfigSchema, join(directory, "config.json"), await readJson(directory, "config.json"));
  if (config.quantization_config !== undefined && config.quantization_config !== null) {
    throw new CheckpointError("UNSUPPORTED", `${directory}/config.json: quantized checkpoints are not supported`);
  }
  return config;
}

/** Token ids that end a generation: generation_config.json's where there are any, else config.json's. */
export async function readEosTokenIds(directory: string, config: ModelConfig): Promise<ReadonlySet<number>> {
  const name = "generation_config.json";
  const file = Bun.file(join(directory, name));
  const generation = (await file.exists())
    ? parse(generationConfigSchema, join(directory, name), await readJson(directory, name))
    : {};
  const ids = generation.eos_token_id ?? config.eos_token_id ?? [];
  return new Set(Array.isArray(ids) ? ids : [ids]);
}

/** @throws {CheckpointError} when the file is missing or no JSON. */
export async function readJson(directory: string, name: string): Promise<unknown> {
  const path = join(directory, name);
  const file = Bun.file(path);
  if (!(await file.exists())) throw new CheckpointError("CHECKPOINT_NOT_FOUND", `${path} does not exist`);
  try {
    return await file.json();
  } catch (cause) {
    throw new CheckpointError("CONFIG_INVALID", `${path} is not JSON`, { cause });
  }
}

/** The field of config.json that an architecture cannot do without. */
export function required<T>(value: T | null | undefined, field: string, architecture: string): T {
  if (value === null || value === undefined) {
    throw new CheckpointError("CONFIG_INVALID", `config.json: ${architecture} needs ${field}`);
  }
  return value;
}

function parse<T>(schema: z.ZodType<T>, path: string, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CheckpointError("CONFIG_INVALID", `${path}: ${z.prettifyError(parsed.error)}`);
}
