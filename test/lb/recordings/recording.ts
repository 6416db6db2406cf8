import { join } from "node:path";
import { z } from "zod";

const answerSchema = z.strictObject({
  status: z.number(),
  /** Without the date and those that frame the body. */
  headers: z.record(z.string(), z.string()),
  /** Whole, or the pieces of a stream as they came. */
  body: z.union([z.string(), z.array(z.string())]),
  /** ms from request to end. */
  took: z.number(),
});
export type RecordedAnswer = z.infer<typeof answerSchema>;

export const recordingSchema = z.strictObject({
  name: z.string(),
  method: z.string(),
  path: z.string(),
  body: z.unknown().optional(),
  /** `none`: not within the recorder's time. */
  prefill: z.union([answerSchema, z.literal("none")]).optional(),
  decode: z.union([answerSchema, z.literal("none")]).optional(),
});
export type Recording = z.infer<typeof recordingSchema>;

/** The first line of the file; each of the others is a recording. */
export const headSchema = z.strictObject({
  server: z.string(),
  /** The request id that stands in answers; prompts of a list have `_0`, `_1` … after it. */
  rid: z.string(),
});
export type RecordingsHead = z.infer<typeof headSchema>;

export const RECORDINGS_FILE = join(import.meta.dir, "sglang.jsonl");
