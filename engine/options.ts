import type { DisaggregationOptions } from "./disaggregation/index.ts";
import type { RopePrecisionOption } from "./model/index.ts";
import type { DisaggregationMode } from "./scheduler/index.ts";

export const kvDevices = ["cpu", "cuda"] as const;
export type KvDevice = (typeof kvDevices)[number];

/** Everything that can be chosen about an engine; names are those of `sglang.launch_server` in camel case. */
export interface EngineOptions {
  readonly modelPath: string;
  /** Where tokenizer.json lies; the model's directory unless given. */
  readonly tokenizerPath?: string;
  readonly servedModelName?: string;
  /** A file with a Jinja template, instead of the checkpoint's own. */
  readonly chatTemplate?: string;
  /** Positions per sequence; at most, and by default, what the model knows. */
  readonly contextLength?: number;
  readonly ropePrecision?: RopePrecisionOption;
  /** Tokens per page of the KV pool. */
  readonly pageSize?: number;
  /** Size of the KV pool; by default what the memory fraction gives, but no more than all running sequences can fill. */
  readonly maxTotalTokens?: number;
  /** Part of the available memory that the KV pool may take, in (0, 1). */
  readonly memFractionStatic?: number;
  /** Where the KV pool is; `cuda` keeps it on a GPU, while the arithmetic stays on the processor. */
  readonly kvDevice?: KvDevice;
  /** The GPU, as CUDA numbers them. */
  readonly baseGpuId?: number;
  readonly maxRunningRequests?: number;
  /** Tokens of prompts computed per step. */
  readonly chunkedPrefillSize?: number;
  readonly randomSeed?: number;
  readonly disaggregationMode?: DisaggregationMode;
  /** For modes other than null. */
  readonly disaggregation?: DisaggregationOptions;
}

export const defaults = {
  pageSize: 16,
  memFractionStatic: 0.25,
  maxRunningRequests: 64,
  chunkedPrefillSize: 128,
  kvDevice: "cpu",
  baseGpuId: 0,
  randomSeed: 1,
  host: "127.0.0.1",
  port: 30_000,
  bootstrapPort: 8998,
} as const;
