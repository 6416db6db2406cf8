import type { Server } from "bun";
import { createApp } from "./app.ts";
import type { Balancer } from "./balancer.ts";
import { tick } from "./clock.ts";
import { Listener, RelayedRequest } from "./downstream/index.ts";
import { errorAnswer, errorResponse } from "./relay/index.ts";
import { ENDPOINTS } from "./request/index.ts";

/**
 * Serves a balancer. Requests for a pair go straight to the relay; everything else through the Hono app. With `reusePort`,
 * several threads listen on one port and the kernel shares connections out.
 */
export function serve(balancer: Balancer, port: number, reusePort = false): Listener {
  const { options, relay, keys } = balancer;
  const app = createApp(balancer, { part: options.adminPort === undefined ? "all" : "public" });
  return new Listener({
    hostname: options.host,
    port,
    reusePort,
    maxBody: options.maxPayloadSize,
    take: (connection, { head, bytes, start, end }) => {
      const endpoint = head.method === "POST" ? ENDPOINTS.get(head.path) : undefined;
      if (endpoint === undefined) return false;
      if (!keys.admits(head, "client")) {
        connection.answer(errorAnswer(401, "unauthorized", "the api key is missing or wrong"));
        return true;
      }
      const exchange = relay.open(new RelayedRequest(connection, head), endpoint, tick());
      connection.waits(exchange);
      exchange.start(head.search, bytes, start, end);
      return true;
    },
    fetch: (request) => app.fetch(request),
    onError: (error) => balancer.log.error({ err: error }, "unexpected error"),
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
