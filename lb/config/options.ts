import { z } from "zod";

const int = (min: number, max = Number.MAX_SAFE_INTEGER) => z.coerce.number().int().min(min).max(max);
const secs = (min = 0) => z.coerce.number().min(min);
const port = () => int(0, 65535);
const flag = () =>
  z.preprocess(
    (value) => (typeof value === "string" ? !["", "0", "false", "no", "off"].includes(value.toLowerCase()) : value),
    z.boolean(),
  );
const words = () =>
  z.preprocess(
    (value) => (typeof value === "string" ? value.split(/[\s,]+/).filter((word) => word !== "") : value),
    z.array(z.string()),
  );

/** Built-in policy names; a module path (`./my-policy.ts`) is also a policy. */
export const POLICY_NAMES = [
  "random",
  "round_robin",
  "power_of_two",
  "least_load",
  "cache_aware",
  "consistent_hash",
] as const;
const policy = () =>
  z
    .string()
    .refine((name) => (POLICY_NAMES as readonly string[]).includes(name) || /^\.{0,2}\/|\.[cm]?[jt]s$/.test(name), {
      message: `expected one of ${POLICY_NAMES.join(", ")}, or the path of a module`,
    });

const httpUrl = () =>
  z.string().refine((url) => /^https?:\/\/[^/]/.test(url) && URL.canParse(url), {
    message: "expected an http:// or https:// URL",
  });

export const workerSchema = z.strictObject({
  url: httpUrl(),
  bootstrapPort: int(1, 65535).nullish().describe("port of a prefill's bootstrap server; null leaves it to the engine"),
  apiKey: z.string().optional().describe("key sent where the client sent none"),
  cost: z.coerce.number().positive().optional().describe("relative cost of a request here, 1 is ordinary"),
});

/**
 * Every option once: its name gives the flag (`queueSize` is `--queue-size`) and the environment variable
 * (`KVWIRE_LB_QUEUE_SIZE`), its description the help. Names and defaults follow SGLang's gateway where it has the option.
 */
export const optionsSchema = z.strictObject({
  host: z.string().default("0.0.0.0").describe("address to listen on"),
  port: port().default(8000).describe("port to listen on"),
  prefill: z.array(workerSchema).default([]).describe("a prefill server and its bootstrap port; may be repeated"),
  decode: z.array(workerSchema).default([]).describe("a decode server; may be repeated"),
  prefillBootstrapPorts: z
    .preprocess((value) => (typeof value === "string" ? value.split(/[\s,]+/) : value), z.array(int(1, 65535)))
    .default([])
    .describe("bootstrap ports of the prefill servers given without one: one for all, or one for each"),
  workers: int(1, 256).default(1).describe("threads that serve, each with its own listener on the port"),

  policy: policy()
    .default("cache_aware")
    .describe(`how a worker is picked: ${POLICY_NAMES.join(", ")}, or a module's path`),
  prefillPolicy: policy().optional().describe("policy for prefill, if it is another"),
  decodePolicy: policy()
    .optional()
    .describe("policy for decode, if it is another (default power_of_two where --policy is cache_aware)"),
  cacheThreshold: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(0.3)
    .describe("cache_aware: part of the prompt that must match to follow it"),
  balanceAbsThreshold: int(0)
    .default(64)
    .describe("cache_aware: difference in load above which the shortest queue is taken"),
  balanceRelThreshold: z.coerce
    .number()
    .min(1)
    .default(1.5)
    .describe("cache_aware: the same as a ratio; both must be exceeded"),
  maxTreeSize: int(1024)
    .default(4 * 1024 * 1024)
    .describe("cache_aware: bytes of prompts remembered for each model"),
  hashHeader: z.string().default("x-smg-routing-key").describe("consistent_hash: the header whose value is hashed"),

  apiKey: z.string().optional().describe("key that clients must send; workers then get their own keys"),
  workerApiKey: z.string().optional().describe("key for workers that have none of their own"),
  adminKey: z.string().optional().describe("key that administration must send (default: the api key)"),
  adminPort: port().optional().describe("listen here for administration, and refuse it on the main port"),
  maxPayloadSize: int(1)
    .default(512 * 1024 * 1024)
    .describe("bytes of a request's body"),
  maxConcurrentRequests: int(-1).default(-1).describe("requests served at once; -1 is no limit"),
  queueSize: int(0).default(100).describe("requests that may wait for a place"),
  queueTimeoutSecs: secs().default(60).describe("how long they may wait"),
  maxPrefillRequests: int(0)
    .default(0)
    .describe("requests that one prefill server is given at once, others wait; 0 is no limit"),

  requestTimeoutSecs: secs(0.001).default(1800).describe("until the answer of a request that does not stream"),
  prefillTimeoutSecs: secs(0.001).default(310).describe("until prefill has answered (engines give up after 300 s)"),
  prefillTimeoutPerTokenMs: secs().default(2).describe("added for each prompt token"),
  firstOutputTimeoutSecs: secs(0.001).default(310).describe("from prefill's answer to the first event of a stream"),
  streamIdleTimeoutSecs: secs(0.001).default(300).describe("between two events of a stream"),
  connectTimeoutSecs: secs(0.001).default(5).describe("to connect to a worker"),
  keepAliveSecs: secs().default(3).describe("how long an idle connection is used again; below the engine's own 5 s"),
  maxIdleConnections: int(0).default(4096).describe("idle connections kept to each worker"),
  workerCa: z.string().optional().describe("file of certificates to check https:// workers with"),
  workerTlsInsecure: flag().default(false).describe("do not check the certificates of https:// workers"),

  retryMaxRetries: int(0, 100).default(3).describe("attempts after the first, each with a new room"),
  retryInitialBackoffMs: int(0).default(50).describe("before the first of them; doubled each time"),
  retryMaxBackoffMs: int(0).default(5000).describe("at most"),
  disableRetries: flag().default(false).describe("one attempt only"),
  cbFailureThreshold: int(1).default(10).describe("failures by a worker's own fault that open its circuit breaker"),
  cbSuccessThreshold: int(1).default(3).describe("good answers that close it again"),
  cbTimeoutDurationSecs: secs().default(60).describe("how long it stays open before one request may try"),
  cbWindowDurationSecs: secs().default(120).describe("after which a failure is forgotten"),
  disableCircuitBreaker: flag().default(false).describe("no circuit breakers"),

  healthCheckIntervalSecs: secs().default(10).describe("between probes of a worker; 0 turns them off"),
  healthCheckTimeoutSecs: secs(0.001)
    .default(10)
    .describe("for a probe to be answered (an engine's takes 1 s at least)"),
  healthCheckEndpoint: z.string().startsWith("/").default("/health").describe("path that is probed"),
  healthFailureThreshold: int(1).default(3).describe("failed probes after which a worker is down"),
  healthSuccessThreshold: int(1).default(2).describe("good probes after which it is up again"),

  requestIdHeaders: words()
    .default(["x-request-id", "x-correlation-id", "x-trace-id", "request-id"])
    .describe("headers in which a client may name its request"),
  logLevel: z
    .enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"])
    .default("info")
    .describe("least level that is logged"),
  logPretty: flag().default(false).describe("log for people instead of JSON"),
  prometheusPort: port().optional().describe("also serve /metrics here"),
  shutdownGracePeriodSecs: secs().default(180).describe("how long running requests may go on after SIGTERM"),
});

export type Options = z.output<typeof optionsSchema>;
export type OptionsInput = z.input<typeof optionsSchema>;
export type WorkerOption = z.output<typeof workerSchema>;
