import type { Hono } from "hono";
import type { Balancer } from "../balancer.ts";
import { errorResponse } from "../relay/index.ts";
import { ENDPOINTS } from "../request/index.ts";

/** Paths that engines in PD mode have no way to serve: a request without a room is refused there. */
const NOT_UNDER_PD = ["/v1/embeddings", "/v1/classify", "/v1/score", "/encode", "/classify"] as const;

/** What goes to a pair. */
export function generateRoutes(app: Hono, balancer: Balancer): void {
  for (const [path, endpoint] of ENDPOINTS) {
    app.post(path, (c) => balancer.relay.handle(c.req.raw, endpoint, new URL(c.req.url).search));
  }
  for (const path of NOT_UNDER_PD) {
    app.post(path, () =>
      errorResponse(
        501,
        "not_under_pd",
        `${path} needs no decode server; engines in prefill or decode mode do not serve it`,
      ),
    );
  }
}
