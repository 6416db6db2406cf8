import type { Context, Hono } from "hono";
import { z } from "zod";
import type { Balancer } from "../balancer.ts";
import { errorResponse } from "../relay/index.ts";
import type { Role, Worker } from "../workers/index.ts";
import { switchRole } from "./role-switch.ts";
import {
  addWorkerSchema,
  changeWorkerSchema,
  registerSchema,
  roleSwitchSchema,
  type workerViewSchema,
} from "./worker-schemas.ts";

/** ms that a removed worker's requests may go on before it is forgotten. */
const DRAIN = 180_000;

/** A worker as the administration sees it; never its key. */
export function workerView(worker: Worker): z.output<typeof workerViewSchema> {
  return {
    id: Bun.hash(`${worker.role} ${worker.url.href}`).toString(16),
    url: worker.name,
    worker_type: worker.role,
    bootstrap_port: worker.bootstrap.port,
    cost: worker.cost,
    is_healthy: worker.health.up,
    last_error: worker.health.lastError ?? null,
    breaker: worker.breaker.state,
    draining: worker.draining,
    requests: worker.requests,
    tokens: worker.tokens,
    connections: { open: worker.pool.open, idle: worker.pool.idle },
  };
}

async function input<S extends z.ZodType>(c: Context, schema: S): Promise<z.output<S> | Response> {
  const parsed = schema.safeParse(await c.req.json().catch(() => undefined));
  return parsed.success ? parsed.data : errorResponse(400, "invalid_request", z.prettifyError(parsed.error));
}

/** Adding, changing and removing workers while requests run. */
export function workerRoutes(app: Hono, balancer: Balancer): void {
  const { control } = balancer;
  const find = (id: string): Worker | undefined =>
    balancer.fleet.all().find((worker) => workerView(worker).id === id || worker.name === id);
  const unknown = (id: string): Response => errorResponse(404, "no_such_worker", `no worker has the id or URL ${id}`);

  const add = (
    role: Role,
    url: string,
    rest: { bootstrapPort?: number | null; apiKey?: string; cost?: number },
  ): Response => {
    const known = balancer.fleet.find(new URL(url).origin);
    if (known !== undefined && !known.draining)
      return errorResponse(409, "worker_exists", `${url} is a ${known.role} worker already`);
    const worker = control.add({ url, role, ...rest });
    return Response.json(workerView(worker), { status: 201 });
  };

  app.get("/workers", (c) => {
    const workers = balancer.fleet.all().map(workerView);
    const count = (role: Role): number => balancer.fleet.of(role).length;
    return c.json({
      workers,
      total: workers.length,
      stats: { prefill_count: count("prefill"), decode_count: count("decode") },
    });
  });

  app.get("/workers/:id", (c) => {
    const worker = find(c.req.param("id"));
    return worker === undefined ? unknown(c.req.param("id")) : c.json(workerView(worker));
  });

  app.post("/workers", async (c) => {
    const body = await input(c, addWorkerSchema);
    if (body instanceof Response) return body;
    return add(body.worker_type, body.url, {
      bootstrapPort: body.bootstrap_port ?? null,
      ...(body.api_key === undefined ? {} : { apiKey: body.api_key }),
      ...(body.cost === undefined ? {} : { cost: body.cost }),
    });
  });

  for (const method of ["patch", "put"] as const) {
    app[method]("/workers/:id", async (c) => {
      const worker = find(c.req.param("id"));
      if (worker === undefined) return unknown(c.req.param("id"));
      const body = await input(c, changeWorkerSchema);
      if (body instanceof Response) return body;
      if (body.draining !== undefined) worker.draining = body.draining;
      if (body.reset_breaker === true) worker.breaker.reset();
      return c.json(workerView(worker));
    });
  }

  app.delete("/workers/:id", (c) => {
    const worker = find(c.req.param("id"));
    if (worker === undefined) return unknown(c.req.param("id"));
    worker.draining = true;
    void control.removeWhenIdle(worker, DRAIN);
    return c.json({ status: "draining", id: c.req.param("id"), requests: worker.requests }, 202);
  });

  app.post("/register", async (c) => {
    const body = await input(c, registerSchema);
    if (body instanceof Response) return body;
    return add(body.mode, body.registry_url, { bootstrapPort: body.bootstrap_port ?? null });
  });

  app.post("/pd_role_switch", async (c) => {
    const body = await input(c, roleSwitchSchema);
    return body instanceof Response
      ? body
      : switchRole(balancer, body, balancer.workerAuthorization(c.req.raw.headers));
  });
}
