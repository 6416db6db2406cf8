#!/usr/bin/env bun
import { basename } from "node:path";
import { CommanderError } from "commander";
import { Cluster } from "./cluster.ts";
import { DemoError } from "./errors.ts";
import { generate, requestBody } from "./generation.ts";
import { type DemoOptions, parseOptions } from "./options.ts";
import { pageSizeOf } from "./servers.ts";
import { formatTable, type Measured } from "./table.ts";
import { readTransferFigures, subtract } from "./transfer-figures.ts";

const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

function say(text: string): void {
  process.stdout.write(text);
}

/** The name of the first signal that asks this process to end. */
function nextSignal(): Promise<keyof typeof SIGNALS> {
  const { promise, resolve } = Promise.withResolvers<keyof typeof SIGNALS>();
  for (const name of Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]) process.on(name, () => resolve(name));
  return promise;
}

/** Has the load balancer answer once, and looks at what prefill counts before and after. */
async function measure(cluster: Cluster, prompt: string, onText: (text: string) => void): Promise<Measured> {
  const prefillUrls = cluster.prefill.map(({ url }) => url);
  const before = await readTransferFigures(prefillUrls);
  const generation = await generate(cluster.balancer, prompt, onText);
  return { generation, moved: subtract(await readTransferFigures(prefillUrls), before) };
}

/** Starts the servers and has them answer. Settles when everything is shown, and with `keep` never. */
async function show(cluster: Cluster, { prompt, keep, model, prefill, decode }: DemoOptions): Promise<void> {
  const count = prefill + decode + 1;
  const started = cluster.start();
  say(`Starting ${count} servers with ${basename(model)}: prefill, decode, and the load balancer before them.\n`);
  await started;
  say(`\n${prompt}`);
  // The first request also connects the pair and meets code that was never run.
  const first = await measure(cluster, prompt, say);
  const again = await measure(cluster, prompt, () => undefined);
  say(`\n\n${formatTable({ first, again }, await pageSizeOf(cluster.decode[0]!))}`);
  if (!keep) return;
  const quoted = requestBody(prompt, false).replaceAll("'", `'\\''`);
  say(`\nThe servers run until Ctrl-C:\n`);
  for (const { url, bootstrapPort } of cluster.prefill)
    say(`  prefill        ${url}  registry port ${bootstrapPort}\n`);
  for (const url of cluster.decode) say(`  decode         ${url}\n`);
  say(`  load balancer  ${cluster.balancer}\n\ncurl ${cluster.balancer}/generate -d '${quoted}'\n`);
  await cluster.died;
}

/** @returns the exit code */
async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  const start = performance.now();
  const cluster = new Cluster({
    ...options,
    onReady: (name, where) => {
      say(`  ${((performance.now() - start) / 1000).toFixed(1).padStart(5)} s  ${name.padEnd(13)}  ${where}\n`);
    },
  });
  // Whatever ends this process, its servers end with it.
  process.once("exit", () => cluster.kill());
  try {
    const signal = await Promise.race([nextSignal(), cluster.died, show(cluster, options)]);
    if (signal === undefined || options.keep) return 0;
    return 128 + SIGNALS[signal];
  } finally {
    await cluster.stop();
  }
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (cause) {
  if (cause instanceof CommanderError) {
    if (cause.exitCode !== 0) console.error(cause.message);
    process.exit(cause.exitCode);
  }
  if (!(cause instanceof DemoError)) throw cause;
  console.error(`\nerror: ${cause.message}`);
  process.exit(1);
}
