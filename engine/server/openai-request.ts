import { z } from "zod";
import { RequestError } from "../errors.ts";
import { type LogprobOptions, type SamplingParams, samplingParamsSchema } from "../sampling/index.ts";
import { bootstrapFields } from "./bootstrap-request.ts";
import { describeIssues } from "./errors.ts";

const positive = z.number().int().min(1);

/** Fields that completions and chat completions share; SGLang's own ones among them. */
export const openaiCommonFields = {
  model: z.string().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: positive.nullish(),
  rid: z.string().nullish(),
  seed: z.number().int().nullish(),
  ...bootstrapFields,
};

/** Names that mean the same here and in `sampling_params`. */
const shared = [
  "temperature",
  "top_p",
  "top_k",
  "min_p",
  "stop",
  "stop_token_ids",
  "ignore_eos",
  "skip_special_tokens",
  "no_stop_trim",
  "n",
  "frequency_penalty",
  "presence_penalty",
  "repetition_penalty",
  "min_tokens",
  "regex",
  "ebnf",
  "json_schema",
] as const;

/** The sampling that a body asks for. @throws {RequestError} 400 naming the field. */
export function readSampling(body: Readonly<Record<string, unknown>>, maxTokens: number | undefined): SamplingParams {
  const given: Record<string, unknown> = { max_new_tokens: maxTokens, sampling_seed: body["seed"] ?? undefined };
  for (const name of shared) given[name === "min_tokens" ? "min_new_tokens" : name] = body[name] ?? undefined;
  if (isEmptyObject(body["logit_bias"]) === false) given["logit_bias"] = body["logit_bias"];
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const parsed = samplingParamsSchema.safeParse(defined);
  if (parsed.success) return parsed.data;
  throw RequestError.invalid(describeIssues(parsed.error.issues));
}

function isEmptyObject(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);
}

export function outputLogprobs(top: number): LogprobOptions {
  return { promptFrom: undefined, top };
}
