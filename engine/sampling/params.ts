import { z } from "zod";

const DEFAULT_MAX_NEW_TOKENS = 128;
/** Below this temperature the best token is taken, as in SGLang. */
const GREEDY_BELOW = 1e-6;
const TOP_K_ALL = 1 << 30;

const neutral = (value: number) => z.literal(value, `only ${value} is supported`).optional();
const absent = z.undefined("is not supported").optional();

const fields = z.strictObject({
  max_new_tokens: z.number().int().min(0).optional(),
  min_new_tokens: neutral(0),
  temperature: z.number().min(0).default(1),
  top_p: z.number().gt(0).max(1).default(1),
  top_k: z.union([z.literal(-1), z.number().int().min(1)]).default(-1),
  min_p: z.number().min(0).max(1).default(0),
  stop: z.union([z.string(), z.array(z.string())]).default([]),
  stop_token_ids: z.array(z.number().int().nonnegative()).default([]),
  ignore_eos: z.boolean().default(false),
  skip_special_tokens: z.boolean().default(true),
  spaces_between_special_tokens: z.boolean().optional(),
  no_stop_trim: z.boolean().default(false),
  sampling_seed: z.number().int().optional(),
  n: z.literal(1, "only n = 1 is supported; send the request n times instead").optional(),
  frequency_penalty: neutral(0),
  presence_penalty: neutral(0),
  repetition_penalty: neutral(1),
  json_schema: absent,
  regex: absent,
  ebnf: absent,
  structural_tag: absent,
  logit_bias: absent,
  custom_params: z.unknown().optional(),
});

/** SGLang's `sampling_params`, parsed. A null counts as absent, as there. */
export const samplingParamsSchema = z.preprocess(withoutNulls, fields).transform((given): SamplingParams => ({
  maxNewTokens: given.max_new_tokens ?? DEFAULT_MAX_NEW_TOKENS,
  maxNewTokensGiven: given.max_new_tokens !== undefined,
  temperature: given.temperature < GREEDY_BELOW ? 0 : given.temperature,
  topP: given.top_p,
  topK: given.top_k === -1 ? TOP_K_ALL : given.top_k,
  minP: given.min_p,
  stop: (typeof given.stop === "string" ? [given.stop] : given.stop).filter((text) => text !== ""),
  stopTokenIds: new Set(given.stop_token_ids),
  ignoreEos: given.ignore_eos,
  skipSpecialTokens: given.skip_special_tokens,
  trimStop: !given.no_stop_trim,
  seed: given.sampling_seed,
}));

export interface SamplingParams {
  readonly maxNewTokens: number;
  /** Whether the request said so: a default gives way to the context length, a demand is refused. */
  readonly maxNewTokensGiven: boolean;
  /** 0 takes the best token. */
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly minP: number;
  readonly stop: readonly string[];
  readonly stopTokenIds: ReadonlySet<number>;
  readonly ignoreEos: boolean;
  readonly skipSpecialTokens: boolean;
  /** Whether a matched stop string is cut off the text. */
  readonly trimStop: boolean;
  readonly seed: number | undefined;
}

export const defaultSampling: SamplingParams = samplingParamsSchema.parse({});

function withoutNulls(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}
