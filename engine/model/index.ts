/** Models: how a checkpoint's tensors become logits. @module */
export type { AttentionLayer, AttentionStack } from "./attention-layer.ts";
export { Decoder } from "./decoder.ts";
export { loadModel } from "./registry.ts";
export type { RopePrecisionOption } from "./rope-config.ts";
