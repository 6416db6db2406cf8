import type { Attempt } from "./attempt.ts";
import type { Exchange } from "./exchange.ts";
import { errorBody, type Answer, type Failure } from "./failure.ts";

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
export function serverTiming({ startedAt, prefillAt, firstOutputAt, plan }: Attempt, arrivedAt: number): string {
  const prefill = prefillAt > 0 ? `dur=${ms(startedAt, prefillAt)};` : "";
  const decode = firstOutputAt > 0 ? `dur=${ms(startedAt, firstOutputAt)};` : "";
  return `queue;dur=${ms(arrivedAt, startedAt)}, prefill;${prefill}desc="${plan.prefill.name}", decode;${decode}desc="${plan.decode.name}"`;
}

/** Adds the fields that every response of an exchange has. */
export function ownFields(headers: Record<string, string>, { id, attempt, arrivedAt }: Exchange): void {
  headers["x-request-id"] = id;
  if (attempt !== undefined) headers["server-timing"] = serverTiming(attempt, arrivedAt);
}

export function answerResponse(answer: Answer, headers: Record<string, string>): Response {
  return new Response(answer.body, { status: answer.status, headers });
}

/** What the client gets for a failure: the worker's own answer where there is one. */
export function failureResponse(failure: Failure, headers: Record<string, string>): Response {
  const { answer, retryAfter } = failure;
  headers["x-kvwire-error-code"] = failure.code;
  if (retryAfter !== undefined) headers["retry-after"] = String(retryAfter);
  if (answer !== undefined) return answerResponse(answer, { ...passedFields(answer.fields), ...headers });
  return errorResponse(failure.status, failure.code, failure.message, headers);
}

export function errorResponse(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Response {
  return new Response(errorBody(status, code, message), {
    status,
    headers: { ...headers, "content-type": "application/json", "x-kvwire-error-code": code },
  });
}
