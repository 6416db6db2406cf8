import type { Server } from "bun";
import { createApp } from "./app.ts";
import type { Balancer } from "./balancer.ts";
import { errorResponse } from "./relay/index.ts";
import { ENDPOINTS } from "./request/index.ts";

/**
 * Serves a balancer. The generate paths go straight to the relay; everything else through the Hono app. With
 * `reusePort`, several threads listen on one port and the kernel shares connections out.
 */
export function serve(balancer: Balancer, port: number, reusePort = false): Server<undefined> {
  const { options, relay, keys } = balancer;
  const app = createApp(balancer, { part: options.adminPort === undefined ? "all" : "public" });
  return Bun.serve({
    hostname: options.host,
    port,
    reusePort,
    // A prefill may be silent for minutes: the relay's own deadlines decide.
    idleTimeout: 0,
    maxRequestBodySize: options.maxPayloadSize,
    fetch(request) {
      if (request.method === "POST") {
        const { url } = request;
        const start = url.indexOf("/", 8);
        const query = url.indexOf("?", start);
        const endpoint = ENDPOINTS.get(query < 0 ? url.slice(start) : url.slice(start, query));
        if (endpoint !== undefined) {
          if (keys.admits(request.headers, "client"))
            return relay.handle(request, endpoint, query < 0 ? "" : url.slice(query));
          return errorResponse(401, "unauthorized", "the api key is missing or wrong");
        }
      }
      return app.fetch(request);
    },
    error(error) {
      balancer.log.error({ err: error }, "unexpected error");
      return errorResponse(500, "internal_error", "an unexpected error; the log has it");
    },
  });
}

/** A second listener: for administration, or for metrics alone. */
export function serveAside(balancer: Balancer, port: number, what: "admin" | "metrics"): Server<undefined> {
  const app = createApp(balancer, { part: "admin" });
  return Bun.serve({
    hostname: balancer.options.host,
    port,
    idleTimeout: 0,
    fetch(request) {
      if (what === "metrics" && new URL(request.url).pathname !== "/metrics") {
        return errorResponse(404, "not_found", "only /metrics is served on this port");
      }
      return app.fetch(request);
    },
  });
}
