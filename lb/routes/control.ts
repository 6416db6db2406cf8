import type { Hono } from "hono";
import { z } from "zod";
import type { Balancer } from "../balancer.ts";
import { errorResponse } from "../relay/index.ts";
import { askAll, type Question } from "../workers/index.ts";

const TIMEOUT = 60_000;

export const abortSchema = z.object({
  rid: z.union([z.string(), z.array(z.string())]).optional(),
  abort_all: z.boolean().optional(),
});

/** Orders to the engines: each goes to all of them, and the answer says what each made of it. */
export function controlRoutes(app: Hono, balancer: Balancer): void {
  const orderAll = async (question: Question): Promise<Response> => {
    const replies = await askAll(balancer.fleet.all(), question);
    const workers = replies.map(({ worker, status, body }) => ({
      url: worker.name,
      role: worker.role,
      status,
      message: body.slice(0, 1000),
    }));
    const worst = workers.every(({ status }) => status < 300) ? 200 : 502;
    return Response.json({ success: worst === 200, workers }, { status: worst });
  };

  for (const path of ["/flush_cache", "/start_profile", "/stop_profile"]) {
    app.post(path, async (c) => {
      const { search, searchParams } = new URL(c.req.url);
      const body = await c.req.text();
      // An engine told to wait for transfers takes as long as it was told, and then answers.
      const patience = Number(searchParams.get("timeout") ?? 0) * 1000;
      return orderAll({
        method: "POST",
        path: path + search,
        ...(body === "" ? {} : { body }),
        authorization: balancer.workerAuthorization(c.req.raw.headers),
        timeout: TIMEOUT + (Number.isFinite(patience) ? Math.max(0, patience) : 0),
      });
    });
  }

  app.post("/abort_request", async (c) => {
    const parsed = abortSchema.safeParse(await c.req.json().catch(() => undefined));
    if (!parsed.success) return errorResponse(400, "invalid_request", z.prettifyError(parsed.error));
    const { rid, abort_all: all = false } = parsed.data;
    const rids = [rid ?? []].flat().filter((id) => id !== "");
    // An empty prefix would match every request of every client.
    if (rids.length === 0 && !all)
      return errorResponse(400, "invalid_request", "rid is empty and abort_all is not set");
    const refused = all ? balancer.refuseAdmin(c.req.raw.headers) : undefined;
    if (refused !== undefined) return refused;
    const aborted = all ? balancer.abortAll() : balancer.abort(rids);
    if (all)
      await orderAll({
        method: "POST",
        path: "/abort_request",
        body: JSON.stringify({ rid: "", abort_all: true }),
        timeout: TIMEOUT,
      });
    return c.json({ success: true, aborted });
  });
}
