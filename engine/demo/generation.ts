import { z } from "zod";
import { DemoError } from "./errors.ts";
import { serverSentEvents } from "./server-sent-events.ts";

const eventSchema = z.object({
  text: z.string(),
  meta_info: z.object({
    prompt_tokens: z.number(),
    completion_tokens: z.number(),
    kv_transfer: z.object({ transport: z.string().optional(), pages: z.number(), bytes: z.number() }).optional(),
  }),
});
const failureSchema = z.union([
  z.object({ error: z.object({ message: z.string() }) }).transform(({ error }) => error.message),
  z.object({ message: z.string() }).transform(({ message }) => message),
]);

/** A generation as its client saw it. Times in seconds. */
export interface Generation {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly firstTokenS: number;
  readonly totalS: number;
  /** What decode says of the cache's way; undefined where nothing was moved. */
  readonly transfer:
    { readonly transport?: string | undefined; readonly pages: number; readonly bytes: number } | undefined;
}

/** What the demonstration asks, as it would be pasted behind `curl -d`. */
export function requestBody(prompt: string, stream: boolean): string {
  return JSON.stringify({ text: prompt, sampling_params: { temperature: 0 }, ...(stream ? { stream } : {}) });
}

/** Has `url` go on from `prompt`; `onText` is given what is new as it comes. @throws {DemoError} REQUEST_FAILED */
export async function generate(url: string, prompt: string, onText: (text: string) => void): Promise<Generation> {
  const start = performance.now();
  const since = (): number => (performance.now() - start) / 1000;
  const response = await fetch(`${url}/generate`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: requestBody(prompt, true),
  });
  if (!response.ok || !response.body) {
    throw new DemoError("REQUEST_FAILED", `the request failed with ${response.status}: ${await response.text()}`);
  }
  let firstTokenS: number | undefined;
  let shown = "";
  let last: z.infer<typeof eventSchema> | undefined;
  for await (const data of serverSentEvents(response.body)) {
    firstTokenS ??= since();
    last = readEvent(data);
    // Events repeat what came before.
    onText(last.text.slice(shown.length));
    shown = last.text;
  }
  if (!last || firstTokenS === undefined) throw new DemoError("REQUEST_FAILED", "the answer has no token");
  const { prompt_tokens: promptTokens, completion_tokens: completionTokens, kv_transfer: transfer } = last.meta_info;
  return { promptTokens, completionTokens, firstTokenS, totalS: since(), transfer };
}

function readEvent(data: string): z.infer<typeof eventSchema> {
  const value: unknown = JSON.parse(data);
  const event = eventSchema.safeParse(value);
  if (event.success) return event.data;
  throw new DemoError("REQUEST_FAILED", `the request failed: ${failureSchema.safeParse(value).data ?? data}`);
}
