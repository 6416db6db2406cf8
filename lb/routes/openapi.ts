import { z } from "zod";
import { abortSchema } from "./control.ts";
import {
  addWorkerSchema,
  changeWorkerSchema,
  registerSchema,
  roleSwitchSchema,
  workerViewSchema,
} from "./worker-schemas.ts";

type Json = Record<string, unknown>;

/** An object of any members: engines say what they take, and everything reaches them unchanged. */
const anyObject = z.looseObject({});
const streamed = z.looseObject({ stream: z.boolean().optional(), model: z.string().optional() });
const generate = streamed.extend({
  text: z.union([z.string(), z.array(z.string())]).optional(),
  input_ids: z.union([z.array(z.int()), z.array(z.array(z.int()))]).optional(),
  sampling_params: z.union([anyObject, z.array(anyObject)]).optional(),
  return_logprob: z.union([z.boolean(), z.array(z.boolean())]).optional(),
});
const completion = streamed.extend({
  prompt: z.union([z.string(), z.array(z.string()), z.array(z.int()), z.array(z.array(z.int()))]),
  n: z.int().min(1).max(128).optional(),
});
const chat = streamed.extend({ messages: z.array(anyObject), n: z.int().min(1).max(128).optional() });

const jsonSchema = (schema: z.ZodType): Json => {
  const { $schema: _drop, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Json;
  return rest;
};

const content = (schema: z.ZodType): Json => ({ content: { "application/json": { schema: jsonSchema(schema) } } });

interface Route {
  readonly method: "get" | "post" | "patch" | "put" | "delete";
  readonly path: string;
  readonly summary: string;
  readonly body?: z.ZodType;
  readonly answer?: z.ZodType;
  readonly errors?: readonly number[];
  readonly tag: "inference" | "health" | "information" | "control" | "workers" | "observation";
}

const PAIR_ERRORS = [400, 401, 413, 429, 502, 503, 504];
const inference = (path: string, summary: string, body: z.ZodType): Route => ({
  method: "post",
  path,
  summary,
  body,
  errors: PAIR_ERRORS,
  tag: "inference",
});
const get = (path: string, summary: string, tag: Route["tag"], answer?: z.ZodType): Route => ({
  method: "get",
  path,
  summary,
  tag,
  ...(answer === undefined ? {} : { answer }),
});

const workersView = z.object({ workers: z.array(workerViewSchema), total: z.int(), stats: anyObject });

const ROUTES: readonly Route[] = [
  inference("/generate", "Generates text from text or token ids", generate),
  inference("/v1/completions", "OpenAI completions", completion),
  inference("/v1/chat/completions", "OpenAI chat completions", chat),
  inference("/v1/responses", "OpenAI responses", streamed),
  inference("/v1/messages", "Anthropic messages", chat),
  inference("/v1/rerank", "Reranks documents", anyObject),
  get("/health", "200 while this process lives", "health"),
  get("/liveness", "The same", "health"),
  get("/readiness", "200 with a healthy prefill and a healthy decode, 503 otherwise and while draining", "health"),
  get("/health_generate", "Every server generates a token", "health"),
  get("/get_server_info", "Every server's own description", "information"),
  get("/get_model_info", "The model, as the first prefill describes it", "information"),
  get("/v1/models", "Models of all servers", "information"),
  get("/get_loads", "Load of every server", "information"),
  {
    method: "post",
    path: "/abort_request",
    summary: "Ends running requests whose id begins with rid",
    body: abortSchema,
    errors: [400],
    tag: "control",
  },
  {
    method: "post",
    path: "/flush_cache",
    summary: "Empties every server's cache; ?timeout= is passed on",
    tag: "control",
  },
  { method: "post", path: "/start_profile", summary: "Starts every server's profiler", tag: "control" },
  { method: "post", path: "/stop_profile", summary: "Stops it", tag: "control" },
  get("/workers", "All workers", "workers", workersView),
  {
    method: "post",
    path: "/workers",
    summary: "Adds a worker",
    body: addWorkerSchema,
    answer: workerViewSchema,
    errors: [400, 409],
    tag: "workers",
  },
  get("/workers/{id}", "One worker", "workers", workerViewSchema),
  {
    method: "patch",
    path: "/workers/{id}",
    summary: "Drains a worker, or resets its breaker",
    body: changeWorkerSchema,
    answer: workerViewSchema,
    errors: [400, 404],
    tag: "workers",
  },
  { method: "delete", path: "/workers/{id}", summary: "Drains and removes a worker", errors: [404], tag: "workers" },
  {
    method: "post",
    path: "/register",
    summary: "Adds a worker (mini_lb's form)",
    body: registerSchema,
    answer: workerViewSchema,
    errors: [400, 409],
    tag: "workers",
  },
  {
    method: "post",
    path: "/pd_role_switch",
    summary: "Turns a prefill server into a decode server or back",
    body: roleSwitchSchema,
    errors: [400, 404],
    tag: "workers",
  },
  get("/metrics", "Prometheus metrics", "observation"),
  get("/dashboard", "What goes on, for people", "observation"),
];

const ERROR = z.object({
  error: z.object({ message: z.string(), type: z.string(), param: z.null(), code: z.string() }),
});

/** The OpenAPI 3.1 document, made from the schemas that check the requests. */
export function openApiDocument(): Json {
  const paths: Record<string, Json> = {};
  for (const route of ROUTES) {
    const responses: Json = {
      "200": { description: "OK", ...(route.answer === undefined ? {} : content(route.answer)) },
    };
    for (const status of route.errors ?? []) responses[String(status)] = { description: "An error", ...content(ERROR) };
    const id = { name: "id", in: "path", required: true, schema: { type: "string" } };
    const item = paths[route.path] ?? {};
    item[route.method] = {
      summary: route.summary,
      tags: [route.tag],
      ...(route.path.includes("{id}") ? { parameters: [id] } : {}),
      ...(route.body === undefined ? {} : { requestBody: content(route.body) }),
      responses,
    };
    paths[route.path] = item;
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "kvwire load balancer",
      version: "0.1.0",
      description: "One address in front of prefill and decode servers",
    },
    components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
    paths,
  };
}
