import { z } from "zod";
import type { GenerationInput } from "../engine.ts";
import { RequestError } from "../errors.ts";
import { bootstrapFields, readBootstrap } from "./bootstrap-request.ts";
import { type LogprobOptions, samplingParamsSchema } from "../sampling/index.ts";

const ids = z.array(z.number().int().nonnegative());
const count = z.number().int();

/** The body of /generate, as SGLang takes it; fields that it has for other uses are let through unseen. */
export const generateRequestSchema = z.looseObject({
  text: z.union([z.string(), z.array(z.string())]).nullish(),
  input_ids: z.union([ids, z.array(ids)]).nullish(),
  sampling_params: z.union([samplingParamsSchema, z.array(samplingParamsSchema)]).nullish(),
  rid: z.union([z.string(), z.array(z.string())]).nullish(),
  stream: z.boolean().nullish(),
  return_logprob: z.union([z.boolean(), z.array(z.boolean())]).nullish(),
  logprob_start_len: z.union([count, z.array(count)]).nullish(),
  top_logprobs_num: z.union([count, z.array(count)]).nullish(),
  token_ids_logprob: z.null("is not supported").optional(),
  return_text_in_logprobs: z.boolean().nullish(),
  ...bootstrapFields,
});

export type GenerateRequest = z.infer<typeof generateRequestSchema>;

const TOP_LOGPROBS_LIMIT = 128;

/** The generations that a body asks for, and whether it wrote them as a list. @throws {RequestError} 400 */
export function readGenerateRequest(body: GenerateRequest): { inputs: GenerationInput[]; list: boolean } {
  const { prompts, list } = readPrompts(body);
  const pick = <T>(value: T | T[] | null | undefined, index: number, name: string): T | undefined => {
    if (!Array.isArray(value)) return value ?? undefined;
    if (value.length === prompts.length) return value[index];
    throw RequestError.invalid(`${name}: ${value.length} entries for ${prompts.length} prompts`);
  };
  const inputs = prompts.map((prompt, index): GenerationInput => {
    const wanted = pick(body.return_logprob, index, "return_logprob") ?? false;
    const start = pick(body.logprob_start_len, index, "logprob_start_len") ?? -1;
    const top = pick(body.top_logprobs_num, index, "top_logprobs_num") ?? 0;
    return {
      id: list && typeof body.rid === "string" ? `${body.rid}_${index}` : pick(body.rid, index, "rid"),
      prompt,
      sampling: pick(body.sampling_params, index, "sampling_params"),
      logprobs: wanted ? readLogprobOptions(start, top) : undefined,
      bootstrap: readBootstrap(body, index, prompts.length),
    };
  });
  return { inputs, list };
}

function readPrompts({ text, input_ids: tokens }: GenerateRequest): { prompts: (string | number[])[]; list: boolean } {
  const given = text ?? tokens;
  if (given === null || given === undefined || (text !== undefined && text !== null && tokens)) {
    throw RequestError.invalid("Either text or input_ids should be provided, and not both.");
  }
  if (typeof given === "string") return { prompts: [given], list: false };
  if (given.length === 0) throw RequestError.invalid(`${text === given ? "text" : "input_ids"} is empty`);
  if (isNumbers(given)) return { prompts: [given], list: false };
  return { prompts: given, list: true };
}

function isNumbers(list: readonly (string | number | readonly number[])[]): list is number[] {
  return typeof list[0] === "number";
}

function readLogprobOptions(start: number, top: number): LogprobOptions {
  if (start < -1) throw RequestError.invalid(`logprob_start_len: ${start} is neither -1 nor a position`);
  if (top < 0 || top > TOP_LOGPROBS_LIMIT) {
    throw RequestError.invalid(`top_logprobs_num: ${top} is not between 0 and ${TOP_LOGPROBS_LIMIT}`);
  }
  return { promptFrom: start === -1 ? undefined : start, top };
}
