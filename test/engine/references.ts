import { join } from "node:path";
import { z } from "zod";

export const modelsDirectory = join(import.meta.dir, "../../engine/models");
export const modelNames = ["kjv-llama-4m", "kjv-deepseek-v3-4m"] as const;
export type ModelName = (typeof modelNames)[number];

const referencesSchema = z.array(
  z.object({
    prompt: z.string(),
    input_ids: z.array(z.number()),
    next_top5: z.array(z.tuple([z.number(), z.number()])),
    input_logprobs: z.array(z.number().nullable()),
    greedy_ids: z.array(z.number()),
    greedy_logprobs: z.array(z.number()),
    text: z.string(),
  }),
);

export type Reference = z.infer<typeof referencesSchema>[number];

/** What Hugging Face transformers answered for the nine prompts. */
export async function readReferences(model: ModelName): Promise<readonly Reference[]> {
  return referencesSchema.parse(await Bun.file(join(modelsDirectory, `${model}.reference.json`)).json());
}

/** How far a log-probability may be from the reference. */
export const LOGPROB_TOLERANCE = 2e-3;
