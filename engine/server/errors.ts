import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { z } from "zod";
import { RequestError } from "../errors.ts";

/** Whatever was thrown, as an error with a status. */
export function toRequestError(cause: unknown): RequestError {
  if (cause instanceof RequestError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RequestError("STEP_FAILED", 500, why, { cause });
}

/** The body of an error on the native endpoints. Refusals and failures look different in SGLang. */
export function nativeErrorBody(error: RequestError): Record<string, unknown> {
  if (error.status === 400) return { error: { message: error.message } };
  return { object: "error", message: error.message, type: `${error.status}`, param: null, code: error.status };
}

const openaiTypes: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  404: "not_found_error",
};

/** The body of an error under /v1, as OpenAI's clients read it. */
export function openaiErrorBody(status: number, message: string): Record<string, unknown> {
  return { error: { message, type: openaiTypes[status] ?? "server_error", param: null, code: status } };
}

/** The answer to a request that failed before any of its answer was sent. */
export function errorResponse(c: Context, cause: unknown): Response {
  const error = toRequestError(cause);
  const body = isOpenai(c) ? openaiErrorBody(error.status, error.message) : nativeErrorBody(error);
  return c.json(body, error.status as ContentfulStatusCode);
}

export function isOpenai(c: Context): boolean {
  return c.req.path.startsWith("/v1/");
}

/** The parsed body. @throws {RequestError} 400 that names the field and what was expected. */
export async function parseBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  let value: unknown;
  try {
    value = parseJson(await c.req.text());
  } catch (cause) {
    throw new RequestError("REQUEST_INVALID", 400, "the body is not JSON", { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw RequestError.invalid(describeIssues(parsed.error.issues));
}

/** The first issue in words: the field and what is wrong with it. */
export function describeIssues(issues: readonly z.core.$ZodIssue[]): string {
  const { path, message } = deepest(issues[0]!, []);
  return path.length > 0 ? `${path.join(".")}: ${message}` : message;
}

/** Of a union's alternatives, the one that went furthest is what the sender meant. */
function deepest(issue: z.core.$ZodIssue, prefix: readonly PropertyKey[]): { path: PropertyKey[]; message: string } {
  const path = [...prefix, ...issue.path];
  if (issue.code !== "invalid_union") return { path, message: issue.message };
  const alternatives = issue.errors.flatMap(([first]) => (first === undefined ? [] : [deepest(first, path)]));
  return alternatives.reduce((a, b) => (b.path.length > a.path.length ? b : a), { path, message: issue.message });
}

/** Integers that a number cannot hold become bigints: rooms have up to 64 bits. */
function parseJson(text: string): unknown {
  return JSON.parse(
    text,
    function revive(_key: string, value: unknown, context?: { readonly source: string }): unknown {
      if (typeof value !== "number" || Number.isSafeInteger(value) || context === undefined) return value;
      return /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
    },
  );
}
