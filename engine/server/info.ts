import { Hono } from "hono";
import type { Engine } from "../engine.ts";
import { defaults } from "../options.ts";

/** What the server is, beyond what its engine knows. */
export interface ServerIdentity {
  readonly host: string;
  readonly port: number;
  readonly version: string;
  readonly bootstrapPort: number;
}

/** Answers about model, server and load, with the field names of SGLang that routers and benchmarks read. */
export function infoRoutes(engine: Engine, identity: () => ServerIdentity): Hono {
  const app = new Hono();
  const created = Math.floor(Date.now() / 1000);
  for (const path of ["/get_model_info", "/model_info"]) app.get(path, (c) => c.json(modelInfo(engine)));
  for (const path of ["/get_server_info", "/server_info"]) {
    app.get(path, (c) => c.json(serverInfo(engine, identity())));
  }
  for (const path of ["/v1/loads", "/get_load"]) app.get(path, (c) => c.json(load(engine)));
  app.get("/v1/models", (c) => {
    const { modelName: id, contextLength } = engine;
    const model = { id, object: "model", created, owned_by: "kvwire", root: id, max_model_len: contextLength };
    return c.json({ object: "list", data: [model] });
  });
  return app;
}

function modelInfo(engine: Engine): Record<string, unknown> {
  const { options } = engine;
  return {
    model_path: options.modelPath,
    tokenizer_path: options.tokenizerPath ?? options.modelPath,
    served_model_name: engine.modelName,
    is_generation: true,
    weight_version: "default",
    disaggregation_mode: engine.role.mode,
    has_image_understanding: false,
    has_audio_understanding: false,
  };
}

function serverInfo(engine: Engine, identity: ServerIdentity): Record<string, unknown> {
  const { options, pool } = engine;
  return {
    ...modelInfo(engine),
    status: engine.ready ? "ready" : "starting",
    version: identity.version,
    host: identity.host,
    port: identity.port,
    disaggregation_bootstrap_port: identity.bootstrapPort,
    context_length: engine.contextLength,
    page_size: pool.pageSize,
    max_total_num_tokens: pool.capacityTokens,
    max_running_requests: options.maxRunningRequests ?? defaults.maxRunningRequests,
    chunked_prefill_size: options.chunkedPrefillSize ?? defaults.chunkedPrefillSize,
    random_seed: options.randomSeed ?? defaults.randomSeed,
    kv_cache_dtype: "float32",
    tp_size: 1,
    dp_size: 1,
    pp_size: 1,
    internal_states: [load(engine)],
  };
}

function load(engine: Engine): Record<string, unknown> {
  const { scheduler, pool } = engine;
  return {
    dp_rank: 0,
    num_reqs: scheduler.liveCount,
    num_running_reqs: scheduler.running,
    num_waiting_reqs: scheduler.waiting,
    num_used_tokens: pool.allocator.used * pool.pageSize,
    max_total_num_tokens: pool.capacityTokens,
    token_usage: pool.allocator.used / pool.allocator.pages,
  };
}
