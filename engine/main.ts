#!/usr/bin/env bun
import pino from "pino";
import packageJson from "../package.json" with { type: "json" };
import { CommanderError, parseArgs } from "./args.ts";
import { CheckpointError, OptionError } from "./errors.ts";
import { launch } from "./launch.ts";

/** Logs go to stderr; stdout carries one line of JSON when the server is ready, for whoever started it. */
async function main(argv: readonly string[]): Promise<void> {
  const args = parseArgs(argv, packageJson.version);
  const log = pino({ level: args.logLevel }, pino.destination({ dest: 2, sync: true }));
  const server = await launch(args, log);
  const stop = (signal: string) => {
    log.info({ signal }, "stopping");
    void server.close().then(() => process.exit(0));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  const { disaggregationMode: mode = "null" } = args.engine;
  console.log(JSON.stringify({ event: "ready", url: server.url, mode, pid: process.pid }));
}

try {
  await main(process.argv.slice(2));
} catch (cause) {
  // Refusals are sentences; anything else is a bug and shows its stack.
  if (cause instanceof CommanderError) {
    if (cause.exitCode !== 0) console.error(cause.message);
    process.exit(cause.exitCode);
  }
  if (cause instanceof OptionError || cause instanceof CheckpointError) {
    console.error(`error: ${cause.message}`);
    process.exit(1);
  }
  throw cause;
}
