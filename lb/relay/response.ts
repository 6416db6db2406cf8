import type { Attempt } from "./attempt.ts";
import type { Exchange } from "./exchange.ts";
import { errorBody, type Answer, type Failure } from "./failure.ts";
import type { Outcome } from "./plan.ts";

/** Fields that concern one connection only (RFC 9110 section 7.6.1), or that the server in front of us writes itself. */
const NOT_PASSED: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "content-length",
  "date",
]);

/** A worker's header fields as they go to the client. */
export function passedFields(fields: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (NOT_PASSED.has(name)) continue;
    const before = headers[name];
    headers[name] = before === undefined ? fields[i + 1]! : `${before}, ${fields[i + 1]}`;
  }
  return headers;
}

/** The same as header lines. Answers that look alike share their fields, so the lines are kept with them. */
export function passedLines(fields: readonly string[]): string {
  let lines = LINES.get(fields);
  if (lines === undefined) {
    lines = "";
    for (let i = 0; i < fields.length; i += 2) {
      if (!NOT_PASSED.has(fields[i]!)) lines += `${fields[i]}: ${fields[i + 1]}\r\n`;
    }
    LINES.set(fields, lines);
  }
  return lines;
}

const LINES = new WeakMap<readonly string[], string>();

/** A time in ms with one decimal, put together from integers, which are many times cheaper to write. */
function ms(from: number, to: number): string {
  const tenths = Math.round((to - from) * 10) | 0;
  const rest = tenths % 10;
  return rest === 0 ? `${tenths / 10}` : `${(tenths - rest) / 10}.${rest}`;
}

/**
 * Which pair served the request and where its time went, as one `Server-Timing` field (W3C): the metric is the leg, its
 * description the worker. One field and not three, because each costs what a hundred lines of this program do.
 */
function serverTiming({ startedAt, prefillAt, firstOutputAt, plan }: Attempt, arrivedAt: number): string {
  const prefill = prefillAt > 0 ? `dur=${ms(startedAt, prefillAt)};` : "";
  const decode = firstOutputAt > 0 ? `dur=${ms(startedAt, firstOutputAt)};` : "";
  return `queue;dur=${ms(arrivedAt, startedAt)}, prefill;${prefill}desc="${plan.prefill.name}", decode;${decode}desc="${plan.decode.name}"`;
}

/** Adds the fields that every response of an exchange has. */
export function ownFields(headers: Record<string, string>, { id, attempt, arrivedAt }: Exchange): void {
  headers["x-request-id"] = id;
  if (attempt !== undefined) headers["server-timing"] = serverTiming(attempt, arrivedAt);
}

/** The same as header lines. */
export function ownLines({ id, attempt, arrivedAt }: Exchange): string {
  const timing = attempt === undefined ? "" : `server-timing: ${serverTiming(attempt, arrivedAt)}\r\n`;
  return `x-request-id: ${id}\r\n${timing}`;
}

/** The head of what the client gets, and its body unless it is streamed. */
export function answerOf(outcome: Outcome): Answer {
  if (outcome.kind === "failure") return failureAnswer(outcome.failure);
  return outcome.kind === "answer" ? outcome.answer : outcome.head;
}

/** The worker's own answer where there is one. */
function failureAnswer({ answer, status, code, message, retryAfter }: Failure): Answer {
  const { fields, ...rest } = answer ?? errorAnswer(status, code, message);
  const own = ["x-kvwire-error-code", code];
  if (retryAfter !== undefined) own.push("retry-after", String(retryAfter));
  return { ...rest, fields: [...fields.filter((_, i) => !own.includes(fields[i & ~1]!)), ...own] };
}

/** An error of our own. */
export function errorAnswer(status: number, code: string, message: string): Answer {
  const fields = ["content-type", "application/json", "x-kvwire-error-code", code];
  return { status, fields, body: Buffer.from(errorBody(status, code, message)) };
}

export function errorResponse(status: number, code: string, message: string): Response {
  const { fields, body } = errorAnswer(status, code, message);
  return new Response(body, { status, headers: passedFields(fields) });
}
