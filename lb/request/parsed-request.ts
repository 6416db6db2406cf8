import type { Endpoint } from "./endpoint.ts";
import { JsonScanner, JsonSyntaxError, scanBody, type JsonMember } from "./json-scanner.ts";
import { RequestError } from "./request-error.ts";
import type { Edit } from "./splice.ts";

/** What one look over a client's body tells; the body itself is never made into values. */
export interface ParsedRequest {
  readonly endpoint: Endpoint;
  /** The bytes that the body lies in, and its range there: a view of a small body costs more than reading it. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  /** Offset of the closing brace. */
  readonly close: number;
  /** Whether what is put before the brace needs a comma in front. */
  readonly comma: boolean;
  /** Cuts of members that a client must not set, and `n` made 1 where it was more. Ascending. */
  readonly edits: readonly Edit[];
  /** Prompts in the body; undefined where it is one and not a list, so that rooms are scalars too. */
  readonly batch: number | undefined;
  /** Samples asked for each prompt. */
  readonly samples: number;
  readonly stream: boolean;
  /** The `stream` member, to be turned off for prefill where its whole answer is wanted. */
  readonly streamMember: JsonMember | undefined;
  /** Where the answer's prompt log-probabilities or experts are prefill's to give. */
  readonly merge: boolean;
  /** Seeds that must differ between samples. */
  readonly seeds: readonly JsonMember[];
  /** The client's own request id or ids. */
  readonly rid: string | readonly string[] | undefined;
  readonly model: string | undefined;
  /** The member that holds the prompt or prompts. */
  readonly prompt: JsonMember | undefined;
  /** Prompt tokens, counted for lists of ids and else estimated at four bytes each. */
  readonly tokens: number;
}

/** Samples per prompt above which a request is refused, as OpenAI's own limit is. */
export const MAX_SAMPLES = 128;
/** Prompts in one request above which it is refused: each holds a room on two workers. */
export const MAX_BATCH = 4096;
const BYTES_PER_TOKEN = 4;

/** Members that decide which engines meet, and where: only the load balancer may say. */
const OURS: ReadonlySet<string> = new Set([
  "bootstrap_host",
  "bootstrap_port",
  "bootstrap_room",
  "bootstrap_pair_key",
  "disagg_prefill_dp_rank",
  "rid",
]);

const refuse = (message: string): RequestError => new RequestError(400, "invalid_request", message);

/** Reads the body that is [start, end) of some bytes. Throws RequestError 400 for one that no engine could take, or that would hang or crash one. */
export function parseRequest(endpoint: Endpoint, bytes: Buffer, start = 0, end = bytes.length): ParsedRequest {
  try {
    return read(endpoint, bytes, start, end);
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw refuse(`The body is not a JSON object: ${error.message}`);
    throw error;
  }
}

function read(endpoint: Endpoint, body: Buffer, from: number, to: number): ParsedRequest {
  const { members, close } = scanBody(body, from, to);
  const edits: Edit[] = [];
  let comma = false;
  for (const member of members) {
    comma = true;
    if (OURS.has(member.key)) {
      // The last member has no comma after it: the one before it stays and serves what we put there.
      edits.push({ start: member.keyStart, end: member.next < 0 ? member.end : member.next, text: "" });
      if (member.next < 0) comma = false;
    }
  }
  const sampling = samplingOf(endpoint, body, members);
  if (sampling.samples > 1 && !endpoint.samples)
    throw refuse(`${endpoint.path} gives one sample, n is ${sampling.samples}`);
  for (const count of sampling.counts) {
    if (sampling.samples > 1) edits.push({ start: count.start, end: count.end, text: "1" });
  }
  edits.sort((a, b) => a.start - b.start);
  const prompt = promptOf(endpoint, members);
  const stream = last(members, "stream");
  return {
    endpoint,
    bytes: body,
    start: from,
    end: to,
    close,
    comma,
    edits,
    batch: batchOf(endpoint, prompt),
    samples: sampling.samples,
    stream: stream !== undefined && isTrue(body, stream),
    streamMember: stream,
    merge:
      (endpoint.dialect === "generate" && asks(body, members, "return_logprob")) ||
      asks(body, members, "return_routed_experts"),
    seeds: sampling.seeds,
    rid: ridOf(body, last(members, "rid")),
    model: stringOf(body, last(members, "model")),
    prompt,
    tokens: tokensOf(prompt),
  };
}

/** The last member of a name: of repeated ones, engines take it. Bodies have few, so that looking through them is cheapest. */
function last(members: readonly JsonMember[], key: string): JsonMember | undefined {
  for (let i = members.length - 1; i >= 0; i--) if (members[i]!.key === key) return members[i];
  return undefined;
}

function promptOf(endpoint: Endpoint, members: readonly JsonMember[]): JsonMember | undefined {
  for (const key of endpoint.prompts) {
    const member = last(members, key);
    if (member !== undefined && member.kind !== "null") return member;
  }
  return undefined;
}

/** Lists of texts and of id lists are batches; a list of ids is one prompt; embeddings are one level deeper. */
function batchOf(endpoint: Endpoint, prompt: JsonMember | undefined): number | undefined {
  if (!endpoint.batch || prompt?.kind !== "array") return undefined;
  if (prompt.length === 0) throw refuse(`${prompt.key} is an empty list`);
  const single = prompt.key === "input_embeds" ? prompt.second === "number" : prompt.first === "number";
  if (single) return undefined;
  if (prompt.length > MAX_BATCH)
    throw refuse(`${prompt.key} has ${prompt.length} prompts, at most ${MAX_BATCH} are allowed`);
  return prompt.length;
}

function tokensOf(prompt: JsonMember | undefined): number {
  if (prompt === undefined) return 1;
  if (prompt.kind === "array" && prompt.first === "number") return prompt.length;
  return 1 + Math.floor((prompt.end - prompt.start) / BYTES_PER_TOKEN);
}

interface Sampling {
  readonly samples: number;
  readonly counts: readonly JsonMember[];
  readonly seeds: readonly JsonMember[];
}

/** OpenAI's `n` and `seed` are top-level, SGLang's stand in `sampling_params`, one object or one for each prompt. */
function samplingOf(endpoint: Endpoint, body: Buffer, members: readonly JsonMember[]): Sampling {
  if (endpoint.dialect === "openai") return sampling(body, [members], "seed");
  const params = last(members, "sampling_params");
  if (params === undefined || (params.kind !== "object" && params.kind !== "array")) {
    return { samples: 1, counts: [], seeds: [] };
  }
  return sampling(body, objectsIn(body, params), "sampling_seed");
}

function objectsIn(body: Buffer, member: JsonMember): JsonMember[][] {
  const scanner = new JsonScanner(body, member.end);
  scanner.at = member.start;
  if (member.kind === "object") return [scanner.members(1)];
  const objects: JsonMember[][] = [];
  for (let i = 0; i < member.length; i++) {
    scanner.at++;
    if (scanner.space() !== 123) throw refuse("sampling_params is a list of something other than objects");
    objects.push(scanner.members(2));
    scanner.space();
  }
  return objects;
}

function sampling(body: Buffer, objects: readonly (readonly JsonMember[])[], seedKey: string): Sampling {
  const counts: JsonMember[] = [];
  const seeds: JsonMember[] = [];
  let samples: number | undefined;
  for (const members of objects) {
    let here = 1;
    // A key given twice: engines take the last, and all are made 1.
    for (const member of members) {
      if (member.key === seedKey && member.kind === "number") seeds.push(member);
      if (member.key !== "n" || member.kind === "null") continue;
      counts.push(member);
      here = countOf(body, member);
    }
    if (samples !== undefined && samples !== here)
      throw refuse("n must be the same in every element of sampling_params");
    samples = here;
  }
  return { samples: samples ?? 1, counts, seeds };
}

function countOf(body: Buffer, member: JsonMember): number {
  const value: unknown = member.kind === "object" || member.kind === "array" ? undefined : valueOf(body, member);
  // Engines that coerce would take "2" for 2, and hang on it just the same.
  const count = typeof value === "string" && value.trim() !== "" ? Number(value) : value === true ? 1 : value;
  if (typeof count !== "number" || !Number.isInteger(count) || count < 1 || count > MAX_SAMPLES) {
    throw refuse(`n must be an integer from 1 to ${MAX_SAMPLES}`);
  }
  return count;
}

/** Makes a value of one small member. */
function valueOf(body: Buffer, member: JsonMember): unknown {
  return JSON.parse(body.toString("utf8", member.start, member.end));
}

const TRUE_TEXT: ReadonlySet<string> = new Set(["1", "true", "t", "yes", "y", "on"]);

/** True as the engine's request model coerces it: `1` and `"yes"` are true too. */
function isTrue(body: Buffer, member: JsonMember): boolean {
  if (member.kind === "true") return true;
  if (member.kind !== "number" && member.kind !== "string") return false;
  return TRUE_TEXT.has(String(valueOf(body, member)).toLowerCase());
}

function asks(body: Buffer, members: readonly JsonMember[], key: string): boolean {
  const member = last(members, key);
  if (member === undefined) return false;
  // One switch for each prompt of a batch.
  if (member.kind === "array") return body.subarray(member.start, member.end).includes("true");
  return isTrue(body, member);
}

function stringOf(body: Buffer, member: JsonMember | undefined): string | undefined {
  return member?.kind === "string" && member.end - member.start <= 1024 ? (valueOf(body, member) as string) : undefined;
}

function ridOf(body: Buffer, member: JsonMember | undefined): string | readonly string[] | undefined {
  if (member === undefined || (member.kind !== "string" && member.first !== "string")) return undefined;
  const value = valueOf(body, member);
  if (Array.isArray(value)) return value.every((id) => typeof id === "string") ? (value as string[]) : undefined;
  return value as string;
}
