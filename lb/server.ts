import type { Server } from "bun";
import { createApp } from "./app.ts";
import type { Balancer } from "./balancer.ts";
import { ENDPOINTS } from "./request/index.ts";

/** Serves a balancer. The generate paths go straight to the relay; everything else through the Hono app. */
export function serve(balancer: Balancer, port: number, reusePort = false): Server<undefined> {
  const app = createApp(balancer);
  const { options, relay } = balancer;
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
        if (endpoint !== undefined) return relay.handle(request, endpoint, query < 0 ? "" : url.slice(query));
      }
      return app.fetch(request);
    },
  });
}
