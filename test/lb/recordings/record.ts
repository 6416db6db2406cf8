/**
 * Keeps what real SGLang servers answer, for the mock worker to answer the same:
 *
 *     bun test/lb/recordings/record.ts PREFILL_URL BOOTSTRAP_PORT DECODE_URL API_KEY PREFILL_PID
 *
 * The servers need `--api-key` and a chat template. The prefill server is killed in the end.
 * @module
 */
import { CASES, type RecordedCase } from "./cases.ts";
import { RECORDINGS_FILE, type RecordedAnswer, type Recording, type RecordingsHead } from "./recording.ts";

/** What lone halves wait for is not long in coming once their prefill is told to go. */
const LIMIT_MS = 60_000;
const BEFORE_ACT_MS = 500;
const RID = "recorded-request";
const [prefillUrl, bootstrapPort, decodeUrl, apiKey, prefillPid] = process.argv.slice(2);
if (prefillPid === undefined) throw new Error("expected PREFILL_URL BOOTSTRAP_PORT DECODE_URL API_KEY PREFILL_PID");
const urls = { prefill: prefillUrl!, decode: decodeUrl! };
type Side = keyof typeof urls;

/** Of no interest, or the frame's, which the mock makes itself. */
const DROPPED = new Set(["date", "content-length", "transfer-encoding", "connection"]);
/** An id of its own for each: an engine whose client has left aborts every request that begins with the id. */
const ridOf = (one: RecordedCase): string => `${RID}-${String(CASES.indexOf(one)).padStart(3, "0")}`;
let room = Math.floor(Math.random() * 2 ** 40) + 1;

function members(body: Readonly<Record<string, unknown>>, rid: string, port: number): object {
  const prompts = body["text"] ?? body["prompt"] ?? body["input_ids"];
  const batch = Array.isArray(prompts) && typeof prompts[0] !== "number" ? prompts.length : undefined;
  const each = <T>(one: (i: number) => T): T | T[] =>
    batch === undefined ? one(0) : Array.from({ length: batch }, (_, i) => one(i));
  return {
    bootstrap_host: each(() => "127.0.0.1"),
    bootstrap_port: each(() => port),
    bootstrap_room: each(() => room++),
    rid: each((i) => (batch === undefined ? rid : `${rid}_${i}`)),
  };
}

async function send(side: Side, { method, path, keyless, keep }: RecordedCase, body?: object | string) {
  const start = performance.now();
  const text = typeof body === "object" ? JSON.stringify(body) : body;
  const headers = new Headers({ "content-type": "application/json" });
  if (keyless !== true) headers.set("authorization", `Bearer ${apiKey}`);
  try {
    const response = await fetch(urls[side] + path, {
      method,
      headers,
      ...(text === undefined ? {} : { body: text }),
      keepalive: false,
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    const pieces: string[] = [];
    for await (const piece of response.body ?? []) pieces.push(scrub(Buffer.from(piece as Uint8Array).toString()));
    const streamed = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
    const whole = pieces.join("");
    const fields = Object.fromEntries([...response.headers].filter(([name]) => !DROPPED.has(name)));
    const took = Math.round(performance.now() - start);
    const kept = keep === undefined ? whole : pick(whole, keep);
    return { status: response.status, headers: fields, body: streamed ? pieces : kept, took } satisfies RecordedAnswer;
  } catch (error) {
    if (error instanceof Error && error.name === "TimeoutError") return "none" as const;
    throw error;
  }
}

/** Without the case's own id and the places of this machine. */
function scrub(text: string): string {
  const sameId = text.replaceAll(new RegExp(`${RID}-[0-9]{3}`, "g"), RID);
  return sameId.replaceAll(/(?:\/[\w.-]+)+(?=\/(?:site-packages|models)\/)/g, "");
}

/** Some members of a long answer. */
function pick(text: string, keep: readonly string[]): string {
  const all = JSON.parse(text) as Record<string, unknown>;
  return JSON.stringify(Object.fromEntries(keep.filter((name) => name in all).map((name) => [name, all[name]])));
}

async function answersTo(one: RecordedCase): Promise<Pick<Recording, Side>> {
  const { body } = one;
  if (one.how === "each" || typeof body !== "object") {
    return { prefill: await send("prefill", one, body), decode: await send("decode", one, body) };
  }
  const port = one.how === "unreachable" ? 9 : Number(bootstrapPort);
  const whole = { ...body, ...members(body, ridOf(one), port) };
  if (one.how === "pair") {
    const [prefill, decode] = await Promise.all([send("prefill", one, whole), send("decode", one, whole)]);
    return { prefill, decode };
  }
  if (one.how === "aborted") {
    return { prefill: await abortedOn("prefill", one, whole), decode: await abortedOn("decode", one, whole) };
  }
  const decode = send("decode", one, whole);
  if (one.how === "orphaned") {
    await Bun.sleep(BEFORE_ACT_MS);
    try {
      process.kill(Number(prefillPid), "SIGKILL");
    } catch {
      // Dead from the case before.
    }
  }
  return { decode: await decode };
}

async function abortedOn(side: Side, one: RecordedCase, whole: object) {
  const answer = send(side, one, whole);
  await Bun.sleep(BEFORE_ACT_MS);
  await send(side, { name: "", method: "POST", path: "/abort_request", how: "each" }, { rid: ridOf(one) });
  return answer;
}

const info = (await (
  await fetch(`${urls.prefill}/get_server_info`, { headers: { authorization: `Bearer ${apiKey}` } })
).json()) as { version: string };
const lines: object[] = [{ server: `SGLang ${info.version}`, rid: RID } satisfies RecordingsHead];
for (const one of CASES) {
  const { name, method, path, body } = one;
  console.log(name);
  const recording: Recording = {
    name,
    method,
    path,
    ...(body === undefined ? {} : { body }),
    ...(await answersTo(one)),
  };
  lines.push(recording);
}
await Bun.write(RECORDINGS_FILE, `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`);
