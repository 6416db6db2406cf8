/** Hugging Face checkpoints: configuration and tensors. @module */
export { Checkpoint } from "./checkpoint.ts";
export { type ModelConfig, modelConfigSchema, readJson, required } from "./config.ts";
export { SafetensorsFile, type TensorInfo } from "./safetensors.ts";
