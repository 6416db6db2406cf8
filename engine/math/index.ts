/** Kernels over Float32Array. They know arrays, offsets and strides; no models, pages or requests. @module */
export { Attention, type AttentionShape } from "./attention.ts";
export { roundToBfloat16 } from "./bfloat16.ts";
export { add, siluTimes } from "./elementwise.ts";
export { Linear } from "./linear.ts";
export { RmsNorm } from "./rmsnorm.ts";
export { Rope, ropeFrequencies, type RopeOptions, type RopePrecision, type RopeScaling } from "./rope.ts";
export { logSumExp, softmax } from "./softmax.ts";
