import { type ModelConfig, required } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import { Rope, type RopePrecision, type RopeScaling } from "../math/index.ts";

const DEFAULT_BASE = 10_000;

export type RopePrecisionOption = RopePrecision | "auto";

/** The rotary embedding that config.json describes, in its old form (rope_theta, rope_scaling) or new (rope_parameters). */
export function createRope(
  config: ModelConfig,
  dimension: number,
  interleaved: boolean,
  precision: RopePrecisionOption,
): Rope {
  const scaling = readScaling(config);
  return new Rope({
    dimension,
    length: config.max_position_embeddings,
    base: config.rope_parameters?.rope_theta ?? config.rope_theta ?? DEFAULT_BASE,
    scaling,
    precision: precision === "auto" ? detectPrecision(config, scaling) : precision,
    interleaved,
  });
}

/**
 * transformers keeps the frequencies in a module's buffer. Casting a whole model with `model.to(bfloat16)` rounds them
 * too, and the tokens differ from those with float32 frequencies after some dozens of positions. Checkpoints saved from
 * a model cast that way say so only indirectly: transformers 5 writes `dtype` and `rope_parameters`. Older
 * configurations, and any with scaled frequencies, mean float32.
 */
function detectPrecision(config: ModelConfig, scaling: RopeScaling): RopePrecision {
  const cast = config.dtype === "bfloat16" && config.rope_parameters && scaling.type === "default";
  return cast ? "bfloat16" : "float32";
}

function readScaling(config: ModelConfig): RopeScaling {
  const parameters = config.rope_parameters ?? config.rope_scaling;
  const type = parameters?.rope_type ?? parameters?.type ?? "default";
  switch (type) {
    case "default":
      return { type };
    case "linear":
      return { type, factor: required(parameters?.factor, "a rope factor", "linear rope scaling") };
    case "llama3":
      return {
        type,
        factor: required(parameters?.factor, "a rope factor", "llama3 rope scaling"),
        lowFrequencyFactor: required(parameters?.low_freq_factor, "low_freq_factor", "llama3 rope scaling"),
        highFrequencyFactor: required(parameters?.high_freq_factor, "high_freq_factor", "llama3 rope scaling"),
        originalLength: required(
          parameters?.original_max_position_embeddings,
          "original_max_position_embeddings",
          "llama3 rope scaling",
        ),
      };
    default:
      throw new CheckpointError(
        "UNSUPPORTED",
        `config.json: rope type "${type}" is not supported; default, linear and llama3 are`,
      );
  }
}
