import { eventsIn } from "./events.ts";

/** Lists about the prompt that only prefill can fill; decode's part, if any, follows. */
const PROMPT_LISTS = ["input_token_logprobs", "input_top_logprobs", "input_token_ids_logprobs"] as const;

type Meta = Record<string, unknown>;

/**
 * `/generate` with log-probabilities: decode never saw the prompt, so its lists are empty. Gives decode's answer with
 * prefill's lists in front, for one answer or a batch. Answers of any other shape are left alone.
 */
export function mergeLogprobs(decode: Buffer, prefill: Buffer): Buffer {
  const answer = parsed(decode.toString());
  const source = parsed(prefill.toString());
  if (answer === undefined || source === undefined) return decode;
  const answers = Array.isArray(answer) ? answer : [answer];
  const sources = Array.isArray(source) ? source : [source];
  answers.forEach((item, index) => mergeItem(item, sources[index]));
  return Buffer.from(JSON.stringify(answer));
}

/** The same for whole events of a stream; in a batch each says by `index` which prompt it is of. */
export function mergeLogprobEvents(events: Buffer, prefill: Buffer): Buffer {
  const source = parsed(prefill.toString());
  if (source === undefined) return events;
  const sources = Array.isArray(source) ? source : [source];
  let merged = "";
  for (const data of eventsIn(events.toString())) {
    const answer = parsed(data);
    if (answer === undefined || Array.isArray(answer)) {
      merged += `data: ${data}\n\n`;
      continue;
    }
    const index = (answer as { index?: unknown }).index;
    mergeItem(answer, sources[typeof index === "number" ? index : 0]);
    merged += `data: ${JSON.stringify(answer)}\n\n`;
  }
  return Buffer.from(merged);
}

/** `/generate` tells in `meta_info`, OpenAI's paths tell experts in `sglext`. */
function mergeItem(answer: unknown, source: unknown): void {
  for (const place of ["meta_info", "sglext"] as const) {
    const own = objectAt(answer, place);
    const prefill = objectAt(source, place);
    if (own !== undefined && prefill !== undefined) mergeMeta(own, prefill);
  }
}

function mergeMeta(meta: Meta, prefill: Meta): void {
  for (const key of PROMPT_LISTS) {
    const before = prefill[key];
    if (!Array.isArray(before)) continue;
    const own = meta[key];
    meta[key] = Array.isArray(own) ? [...before, ...own] : before;
  }
  // The first output token was prefill's: decode has null for it in this one list.
  const first = firstOf(prefill["output_token_ids_logprobs"]);
  const output = meta["output_token_ids_logprobs"];
  if (first !== undefined && Array.isArray(output) && output[0] === null) output[0] = first;
  const experts = prefill["routed_experts"];
  if (typeof experts === "string") meta["routed_experts"] = joinExperts(experts, meta["routed_experts"]);
}

const firstOf = (list: unknown): unknown => (Array.isArray(list) ? (list as unknown[])[0] : undefined);

/** Both sides give base64 bytes counted from the first prompt token: prefill's part, then what decode has beyond it. */
function joinExperts(prefill: string, decode: unknown): string {
  if (typeof decode !== "string") return prefill;
  const head = Buffer.from(prefill, "base64");
  const whole = Buffer.from(decode, "base64");
  return Buffer.concat([head, whole.subarray(head.length)]).toString("base64");
}

function objectAt(answer: unknown, key: string): Meta | undefined {
  const value = typeof answer === "object" && answer !== null ? (answer as Meta)[key] : undefined;
  return typeof value === "object" && value !== null ? (value as Meta) : undefined;
}

function parsed(source: string): object | undefined {
  try {
    const value: unknown = JSON.parse(source);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
