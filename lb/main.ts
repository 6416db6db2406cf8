#!/usr/bin/env bun
import { ConfigError, loadConfig } from "./config/index.ts";
import { run } from "./run.ts";

/** Keys are not printed, as they are not logged. */
const withoutKeys = (name: string, value: unknown): unknown =>
  /key$/i.test(name) && typeof value === "string" ? "[redacted]" : value;

try {
  const config = await loadConfig(process.argv.slice(2), process.env);
  if (config?.printConfig === true) console.log(JSON.stringify(config.options, withoutKeys, 2));
  else if (config !== undefined) await run(config.options);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(`kvwire-lb: ${error.message}`);
  process.exitCode = 2;
}
