import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { openaiErrorBody } from "./errors.ts";

/** Paths that answer without a key, so that probes and scrapers need none: as in SGLang. */
const OPEN = new Set(["/health", "/health_generate", "/metrics"]);

/** Asks for `Authorization: Bearer KEY`; 401 without. */
export function requireKey(key: string): MiddlewareHandler {
  const expected = digest(`Bearer ${key}`);
  return async function requireKeyMiddleware(c, next) {
    const given = digest(c.req.header("authorization") ?? "");
    if (!OPEN.has(c.req.path) && !timingSafeEqual(given, expected)) {
      return c.json(openaiErrorBody(401, "Unauthorized: the API key is missing or wrong"), 401);
    }
    return next();
  };
}

/** Equal lengths are what timingSafeEqual compares. */
function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
