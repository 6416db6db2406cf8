import type { Hono } from "hono";
import type { Balancer } from "../balancer.ts";
import { askAll } from "../workers/index.ts";

/** Liveness, readiness, and the workers' own health. */
export function healthRoutes(app: Hono, balancer: Balancer): void {
  // Alive is all that this process can say of itself; a supervisor that restarts it for a dead engine helps nobody.
  for (const path of ["/health", "/liveness"]) app.get(path, (c) => c.text("ok"));

  app.get("/readiness", (c) => {
    const healthy = {
      prefill: balancer.fleet.available("prefill").length,
      decode: balancer.fleet.available("decode").length,
    };
    if (balancer.draining) return c.json({ status: "draining", healthy }, 503);
    const ready = healthy.prefill > 0 && healthy.decode > 0;
    return c.json({ status: ready ? "ready" : "not ready", healthy }, ready ? 200 : 503);
  });

  for (const method of ["get", "post"] as const) {
    app[method]("/health_generate", async (c) => {
      const replies = await askAll(balancer.fleet.all(), {
        method: "GET",
        path: "/health_generate",
        authorization: balancer.workerAuthorization(c.req.raw.headers),
        timeout: balancer.options.healthCheckTimeoutSecs * 1000,
      });
      const workers = replies.map(({ worker, status, body }) => ({
        url: worker.name,
        role: worker.role,
        status,
        ...(status === 200 ? {} : { error: body.slice(0, 500) }),
      }));
      const good = (role: string): boolean => workers.some((worker) => worker.role === role && worker.status === 200);
      return c.json(
        { workers },
        good("prefill") && good("decode") && workers.every(({ status }) => status === 200) ? 200 : 503,
      );
    });
  }
}
