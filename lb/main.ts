#!/usr/bin/env bun
import { ConfigError, loadConfig } from "./config/index.ts";
import { run } from "./run.ts";
import { serveThread } from "./threads/thread.ts";

/** Keys are not printed, as they are not logged. */
const withoutKeys = (name: string, value: unknown): unknown =>
  /key$/i.test(name) && typeof value === "string" ? "[redacted]" : value;

async function main(): Promise<void> {
  const config = await loadConfig(process.argv.slice(2), process.env);
  if (config?.printConfig === true) console.log(JSON.stringify(config.options, withoutKeys, 2));
  else if (config !== undefined) await run(config.options);
}

// Serving threads run this same file: it is the one that is there in a compiled executable too.
if (!Bun.isMainThread) serveThread();
else {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof ConfigError) && (error as { code?: string }).code !== "EADDRINUSE") throw error;
    console.error(`kvwire-lb: ${(error as Error).message}`);
    process.exit(2);
  }
}
