import type { Context, Hono } from "hono";
import type { Balancer } from "../balancer.ts";
import { errorResponse } from "../relay/index.ts";
import { askAll, jsonOf, type Reply, type Role } from "../workers/index.ts";

const TIMEOUT = 10_000;

/** What the servers say of themselves, put together. */
export function infoRoutes(app: Hono, balancer: Balancer): void {
  const askRole = (c: Context, path: string, role?: Role): Promise<Reply[]> =>
    askAll(role === undefined ? balancer.fleet.all() : balancer.fleet.of(role), {
      method: "GET",
      path,
      authorization: balancer.workerAuthorization(c.req.raw.headers),
      timeout: TIMEOUT,
    });

  // The shape of mini_lb, which SGLang's benchmarks read: decode's internal states, and every server's own answer.
  for (const path of ["/get_server_info", "/server_info"]) {
    app.get(path, async (c) => {
      const replies = await askRole(c, "/get_server_info");
      const infos = (role: Role): Record<string, unknown>[] =>
        replies
          .filter(({ worker }) => worker.role === role)
          .map(jsonOf)
          .filter((info) => info !== undefined);
      const decode = infos("decode");
      const states = decode.flatMap((info) =>
        Array.isArray(info["internal_states"]) ? (info["internal_states"] as unknown[]) : [],
      );
      const failed = replies
        .filter((reply) => jsonOf(reply) === undefined)
        .map(({ worker, status, body }) => ({ url: worker.name, status, error: body.slice(0, 500) }));
      const internal = states.length > 0 ? states : [{ last_gen_throughput: 0, avg_spec_accept_length: null }];
      return c.json({
        internal_states: internal,
        prefill: infos("prefill"),
        decode,
        ...(failed.length > 0 ? { failed } : {}),
      });
    });
  }

  /** The first prefill that answers well speaks for all: they serve one model. */
  const firstPrefill = async (c: Context, path: string): Promise<Response> => {
    if (balancer.fleet.of("prefill").length === 0)
      return errorResponse(503, "no_prefill_workers_available", "no prefill worker is known");
    const replies = await askRole(c, path, "prefill");
    const reply = replies.find(({ status }) => status === 200) ?? replies[0]!;
    return new Response(reply.body, { status: reply.status, headers: { "content-type": reply.contentType } });
  };
  for (const path of ["/get_model_info", "/model_info"]) app.get(path, (c) => firstPrefill(c, "/get_model_info"));

  app.get("/v1/models", async (c) => {
    const replies = await askRole(c, "/v1/models");
    const models = new Map<string, unknown>();
    for (const reply of replies) {
      const data = jsonOf(reply)?.["data"];
      for (const model of Array.isArray(data) ? (data as { id?: unknown }[]) : []) models.set(String(model.id), model);
    }
    const refused = replies.find(({ status }) => status !== 200);
    if (models.size === 0 && refused !== undefined) {
      return new Response(refused.body, { status: refused.status, headers: { "content-type": refused.contentType } });
    }
    return c.json({ object: "list", data: [...models.values()] });
  });

  app.get("/get_loads", async (c) => {
    const replies = await askRole(c, "/v1/loads");
    return c.json(
      replies.map((reply) => {
        const { worker } = reply;
        const load = { requests: worker.requests, tokens: worker.tokens };
        return { url: worker.name, role: worker.role, ...load, engine: jsonOf(reply) ?? null };
      }),
    );
  });
}
