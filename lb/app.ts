import { Hono } from "hono";
import type { Balancer } from "./balancer.ts";
import { errorResponse } from "./relay/index.ts";
import { ENDPOINTS } from "./request/index.ts";

/** Everything the load balancer answers, as a Hono app. */
export function createApp(balancer: Balancer): Hono {
  const app = new Hono();
  for (const [path, endpoint] of ENDPOINTS) {
    app.post(path, (c) => balancer.relay.handle(c.req.raw, endpoint, new URL(c.req.url).search));
  }
  app.get("/health", (c) => c.text("ok"));
  app.notFound((c) => errorResponse(404, "not_found", `${c.req.method} ${c.req.path} is not served here`));
  app.onError((error) => errorResponse(500, "internal_error", error.message));
  return app;
}
