import { Hono } from "hono";
import type { Balancer } from "./balancer.ts";
import { errorResponse } from "./relay/index.ts";
import {
  controlRoutes,
  generateRoutes,
  healthRoutes,
  infoRoutes,
  observeRoutes,
  workerRoutes,
} from "./routes/index.ts";

/** What an administrator's key is for. */
const ADMIN = /^\/(?:workers|register|pd_role_switch|flush_cache|start_profile|stop_profile)(?:\/|$)/;
/** What supervisors, load balancers and browsers ask without a key. The dashboard's data needs one. */
const OPEN = /^\/(?:health|liveness|readiness|metrics|openapi\.json|dashboard)$/;

export interface AppOptions {
  /** "public" where administration has a port of its own, "admin" on that port. */
  readonly part?: "all" | "public" | "admin";
}

/** Everything the load balancer answers, as a Hono app. */
export function createApp(balancer: Balancer, { part = "all" }: AppOptions = {}): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    const { path } = c.req;
    const { headers } = c.req.raw;
    if (ADMIN.test(path)) {
      if (part === "public") return errorResponse(404, "not_found", `${path} is served on the administration port`);
      const refused = balancer.refuseAdmin(headers);
      if (refused !== undefined) return refused;
    } else if (
      !OPEN.test(path) &&
      !balancer.keys.admits(headers, "client") &&
      !balancer.keys.admits(headers, "admin")
    ) {
      return errorResponse(401, "unauthorized", "the api key is missing or wrong");
    }
    return next();
  });
  if (part !== "admin") generateRoutes(app, balancer);
  healthRoutes(app, balancer);
  infoRoutes(app, balancer);
  controlRoutes(app, balancer);
  workerRoutes(app, balancer);
  observeRoutes(app, balancer);
  app.notFound((c) => errorResponse(404, "not_found", `${c.req.method} ${c.req.path} is not served here`));
  app.onError((error) => {
    balancer.log.error({ err: error }, "unexpected error");
    return errorResponse(500, "internal_error", "an unexpected error; the log has it");
  });
  return app;
}
