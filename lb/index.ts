export { createApp } from "./app.ts";
export { Balancer, type BalancerParts } from "./balancer.ts";
export { ConfigError, optionsSchema, parseOptions, type Options, type OptionsInput } from "./config/index.ts";
export { createLoadBalancer, type LoadBalancer } from "./create.ts";
export type { Choice, Policy } from "./policy/index.ts";
export { serve } from "./server.ts";
export type { Worker, WorkerSpec } from "./workers/index.ts";
