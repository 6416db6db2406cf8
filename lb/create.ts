import type { Hono } from "hono";
import { createApp } from "./app.ts";
import { Balancer, type BalancerParts } from "./balancer.ts";
import { parseOptions, spreadBootstrapPorts, type OptionsInput } from "./config/index.ts";

/** A Hono app to serve or to mount, and the handle that stops what runs behind it. */
export interface LoadBalancer {
  readonly app: Hono;
  readonly balancer: Balancer;
  /** Closes all connections to workers; running requests end with an error. */
  close(): void;
}

/**
 * `parts` may hold policies of your own, a pino logger, or state shared with other threads.
 *
 * @example
 * const { app } = createLoadBalancer({
 *   prefill: [{ url: "http://10.0.0.1:30000", bootstrapPort: 8998 }],
 *   decode: [{ url: "http://10.0.0.2:30001" }],
 * });
 * Bun.serve({ fetch: app.fetch, idleTimeout: 0 });
 */
export function createLoadBalancer(options: OptionsInput, parts: BalancerParts = {}): LoadBalancer {
  const balancer = new Balancer(spreadBootstrapPorts(parseOptions(options)), parts);
  balancer.addConfigured();
  return { app: createApp(balancer), balancer, close: () => balancer.close() };
}
