import type { Attempt } from "./attempt.ts";
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

const ms = (from: number, to: number): number => Math.round((to - from) * 10) / 10;

/**
 * Which pair served the request and where its time went, as one `Server-Timing` field (W3C): the metric is the leg, its
 * description the worker. One field and not three, because each costs what a hundred lines of this program do.
 */
export function ownFields(
  headers: Record<string, string>,
  requestId: string,
  attempt: Attempt,
  arrivedAt: number,
): void {
  headers["x-request-id"] = requestId;
  const { startedAt, prefillAt, firstOutputAt, plan } = attempt;
  let timing = `queue;dur=${ms(arrivedAt, startedAt)}, prefill;`;
  if (prefillAt > 0) timing += `dur=${ms(startedAt, prefillAt)};`;
  timing += `desc="${plan.prefill.name}", decode;`;
  if (firstOutputAt > 0) timing += `dur=${ms(startedAt, firstOutputAt)};`;
  timing += `desc="${plan.decode.name}"`;
  headers["server-timing"] = timing;
}

export function answerResponse(answer: Answer, headers: Record<string, string>): Response {
  return new Response(answer.body, { status: answer.status, headers });
}

/** What the client gets for a failure: the worker's own answer where there is one. */
export function failureResponse(failure: Failure, headers: Record<string, string>): Response {
  const { answer } = failure;
  headers["x-kvwire-error-code"] = failure.code;
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
