import type { LogprobOptions, SamplingParams } from "../sampling/index.ts";

/** Where the other half of a disaggregated request is found: the prefill instance's registry, and the shared room. */
export interface BootstrapAddress {
  readonly host: string;
  readonly port: number | undefined;
  readonly room: bigint;
}

/** A generation that was asked for, checked against the model. */
export interface GenerationRequest {
  /** Unique among the live ones. */
  readonly id: string;
  /** At least one token. */
  readonly prompt: Int32Array;
  readonly sampling: SamplingParams;
  /** Drives the sampling: the request's own, or one that the engine chose. */
  readonly seed: number;
  /** Undefined when no log-probabilities are wanted. */
  readonly logprobs: LogprobOptions | undefined;
  /** Undefined where one server does both halves. */
  readonly bootstrap: BootstrapAddress | undefined;
}

/** Why a generation ended, in SGLang's words. */
export type FinishReason =
  | { readonly type: "stop"; readonly matched: number | string }
  | { readonly type: "length"; readonly length: number }
  | { readonly type: "abort"; readonly message: string };
