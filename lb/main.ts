#!/usr/bin/env bun
import { Balancer } from "./balancer.ts";
import { ConfigError, loadConfig } from "./config/index.ts";
import { serve } from "./server.ts";

try {
  const config = await loadConfig(process.argv.slice(2), process.env);
  if (config !== undefined) {
    const balancer = new Balancer(config.options);
    balancer.addConfigured();
    const server = serve(balancer, config.options.port);
    console.error(`listening on ${server.url.href}`);
  }
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(`kvwire-lb: ${error.message}`);
  process.exitCode = 2;
}
