/** From logits to a token: parameters, drawing, log-probabilities, stop strings. @module */
export { type LogprobOptions, readLogprobs, type TokenLogprob } from "./logprobs.ts";
export { defaultSampling, type SamplingParams, samplingParamsSchema } from "./params.ts";
export { uniform } from "./random.ts";
export { argmax, sampleToken } from "./sampler.ts";
export { type StopMatch, StopStrings } from "./stop-strings.ts";
