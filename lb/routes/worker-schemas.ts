import { z } from "zod";
import { workerSchema } from "../config/index.ts";

const role = z.enum(["prefill", "decode"]);

/** `POST /workers`: SGLang's gateway says `worker_type` and `bootstrap_port`. */
export const addWorkerSchema = z.object({
  url: workerSchema.shape.url,
  worker_type: role,
  bootstrap_port: workerSchema.shape.bootstrapPort,
  api_key: workerSchema.shape.apiKey,
  cost: workerSchema.shape.cost,
});

/** `PATCH /workers/:id`. */
export const changeWorkerSchema = z.strictObject({
  draining: z.boolean().optional().describe("true: no new requests, running ones end"),
  reset_breaker: z.boolean().optional().describe("true: close its circuit breaker"),
});

/** mini_lb's `POST /register`. */
export const registerSchema = z.object({
  mode: role,
  registry_url: workerSchema.shape.url,
  bootstrap_port: workerSchema.shape.bootstrapPort,
});

/** mini_lb's `POST /pd_role_switch`; other members go to the engine as they are. */
export const roleSwitchSchema = z.looseObject({
  worker_url: workerSchema.shape.url,
  new_role: role,
  bootstrap_port: workerSchema.shape.bootstrapPort,
  drain: z.boolean().default(true),
  drain_timeout_secs: z.number().min(0).max(3600).default(300),
});

export const workerViewSchema = z.object({
  id: z.string(),
  url: z.string(),
  worker_type: role,
  bootstrap_port: z.number().nullable(),
  cost: z.number(),
  is_healthy: z.boolean(),
  last_error: z.string().nullable(),
  breaker: z.enum(["closed", "open", "half-open"]),
  draining: z.boolean(),
  requests: z.number(),
  tokens: z.number(),
  connections: z.object({ open: z.number(), idle: z.number() }),
});
