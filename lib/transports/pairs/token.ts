import { randomBytes } from "node:crypto";
import { z } from "zod";

/** 128 random bits in hexadecimal: a token, a nonce, a name. */
export function randomToken(): string {
  return randomBytes(16).toString("hex");
}

export const tokenSchema = z.string().regex(/^[0-9a-f]{32}$/, "expected 32 hexadecimal digits");
