import type { Checkpoint, ModelConfig } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import type { AttentionStack } from "./attention-layer.ts";
import { Decoder } from "./decoder.ts";
import { GroupedQueryAttention } from "./grouped-query-attention.ts";
import { LatentAttention } from "./latent-attention.ts";
import type { RopePrecisionOption } from "./rope-config.ts";
import { Weights } from "./weights.ts";

/** How each architecture's attention is loaded; the rest of the decoder is common. */
const architectures: Readonly<Record<string, (weights: Weights, config: ModelConfig) => Promise<AttentionStack>>> = {
  LlamaForCausalLM: (weights, config) =>
    GroupedQueryAttention.loadStack(weights, { input: config.attention_bias, output: config.attention_bias }),
  Qwen2ForCausalLM: (weights, config) => {
    if (config.use_sliding_window) throw unsupported("Qwen2 with use_sliding_window");
    return GroupedQueryAttention.loadStack(weights, { input: true, output: false });
  },
  DeepseekV3ForCausalLM: (weights, config) => {
    const dense = config.first_k_dense_replace ?? 0;
    if (dense < config.num_hidden_layers) {
      throw unsupported(
        `DeepSeek-V3 with mixture-of-experts layers (${dense} of ${config.num_hidden_layers} are dense)`,
      );
    }
    return LatentAttention.loadStack(weights);
  },
};

/** Loads the model of a checkpoint. @throws {CheckpointError} when its architecture is unknown or a tensor does not fit. */
export async function loadModel(checkpoint: Checkpoint, ropePrecision: RopePrecisionOption = "auto"): Promise<Decoder> {
  const { config } = checkpoint;
  const name = config.architectures[0]!;
  const load = Object.hasOwn(architectures, name) ? architectures[name] : undefined;
  if (load === undefined) {
    const known = Object.keys(architectures).join(", ");
    throw new CheckpointError("ARCHITECTURE_UNKNOWN", `architecture ${name} is not known; known are ${known}`);
  }
  if (config.hidden_act !== "silu") throw unsupported(`hidden_act "${config.hidden_act}"`);
  const weights = new Weights(checkpoint, ropePrecision);
  return Decoder.load(weights, await load(weights, config));
}

function unsupported(what: string): CheckpointError {
  return new CheckpointError("UNSUPPORTED", `config.json: ${what} is not supported`);
}
