import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import type { DisaggregationOptions } from "./disaggregation/index.ts";
import { defaults, type EngineOptions, kvDevices } from "./options.ts";

export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface ServerArgs {
  readonly engine: EngineOptions;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly bootstrapPort: number;
  readonly apiKey?: string;
  readonly logLevel: LogLevel;
}

type ParsedOptions = EngineOptions & {
  readonly host: string;
  readonly port: number;
  readonly disaggregationBootstrapPort: number;
  readonly disaggregationTransferBackend: string;
  readonly disaggregationAdvertiseHost?: string;
  readonly disaggregationIbDevice?: string;
  readonly disaggregationTransferOptions?: NonNullable<DisaggregationOptions["transferOptions"]>;
  readonly disaggregationLease?: number;
  readonly apiKey?: string;
  readonly logLevel: LogLevel;
};

/**
 * Reads the command line (without the runtime and the script). Help and version are printed here, errors only thrown.
 * @throws {CommanderError} with the exit code; its message names the flag and what it takes.
 */
export function parseArgs(argv: readonly string[], version: string): ServerArgs {
  const command = createCommand(version);
  command.parse(argv, { from: "user" });
  const {
    host,
    port,
    disaggregationBootstrapPort: bootstrapPort,
    disaggregationTransferBackend: transferBackend,
    disaggregationAdvertiseHost: advertiseHost,
    disaggregationIbDevice: ibDevice,
    disaggregationTransferOptions: transferOptions,
    disaggregationLease: lease,
    apiKey,
    logLevel,
    ...engine
  } = command.opts<ParsedOptions>();
  const leaseMs = lease === undefined ? undefined : lease * 1_000;
  const reach = { bootstrapHost: host, bootstrapPort, advertiseHost, leaseMs };
  const disaggregation = { ...reach, transferBackend, ibDevice, transferOptions };
  return { engine: { ...engine, disaggregation }, host, port, bootstrapPort, apiKey, logLevel };
}

export { CommanderError };

function createCommand(version: string): Command {
  const port = integer("a port, 0 to 65535", 0, 65_535);
  const positive = integer("a whole number from 1", 1);
  return new Command("engine")
    .description("Serves a Llama, Qwen2 or DeepSeek-V3 checkpoint over HTTP, alone or as half of a disaggregated pair.")
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .requiredOption("--model-path <dir>", "Hugging Face checkpoint directory")
    .option("--tokenizer-path <dir>", "where tokenizer.json lies (default: the model's directory)")
    .option("--served-model-name <name>", "name in answers (default: the directory's)")
    .option("--chat-template <file>", "Jinja template for chat requests, instead of the checkpoint's own")
    .option("--context-length <tokens>", "positions per request (default: the model's)", positive)
    .addOption(
      new Option("--rope-precision <type>", "type that rotary frequencies are rounded to")
        .choices(["auto", "float32", "bfloat16"])
        .default("auto"),
    )
    .option("--host <address>", "address to listen on", defaults.host)
    .option("--port <port>", "port to listen on; 0 for a free one", port, defaults.port)
    .option("--api-key <key>", "key that requests must carry as a bearer token")
    .option("--page-size <tokens>", "tokens per page of the KV pool", positive, defaults.pageSize)
    .option("--max-total-tokens <tokens>", "size of the KV pool (default: by --mem-fraction-static)", positive)
    .option(
      "--mem-fraction-static <fraction>",
      "part of the free memory that the KV pool may take",
      fraction,
      defaults.memFractionStatic,
    )
    .addOption(
      new Option("--kv-device <device>", "where the KV pool is; the arithmetic is the processor's either way")
        .choices(kvDevices)
        .default(defaults.kvDevice),
    )
    .option("--base-gpu-id <number>", "GPU of --kv-device cuda", integer("a whole number", 0), defaults.baseGpuId)
    .option("--max-running-requests <count>", "requests in one batch", positive, defaults.maxRunningRequests)
    .option("--chunked-prefill-size <tokens>", "prompt tokens per step", positive, defaults.chunkedPrefillSize)
    .option(
      "--random-seed <seed>",
      "seed of sampling and page order",
      integer("a whole number", 0),
      defaults.randomSeed,
    )
    .addOption(
      new Option("--disaggregation-mode <mode>", "which half of a pair this is; null for both")
        .choices(["null", "prefill", "decode"])
        .default("null"),
    )
    .option("--disaggregation-bootstrap-port <port>", "port of the registry", port, defaults.bootstrapPort)
    .option("--disaggregation-transfer-backend <name>", "how the KV cache travels: auto, or names with commas", "auto")
    .option("--disaggregation-ib-device <names>", "RDMA devices for verbs, with commas between (default: chosen)")
    .option(
      "--disaggregation-transfer-options <json>",
      `more options of transports by their names: {"verbs": {"trafficClass": 106}}`,
      transferOptions,
    )
    .option("--disaggregation-advertise-host <address>", "where the other half reaches this one (default: found out)")
    .option("--disaggregation-lease <seconds>", "silence after which the other half is dead (default: 5)", positive)
    .addOption(new Option("--log-level <level>", "least level that is logged").choices(logLevels).default("info"));
}

function integer(what: string, least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It takes ${what}.`);
  };
}

function fraction(text: string): number {
  const value = Number(text);
  if (value > 0 && value < 1) return value;
  throw new InvalidArgumentError("It takes a number above 0 and below 1.");
}

const transferOptionsSchema = z.record(z.string(), z.record(z.string(), z.unknown()));

function transferOptions(text: string): z.infer<typeof transferOptionsSchema> {
  const what = "It takes JSON: an object of objects, by the transports' names.";
  try {
    return transferOptionsSchema.parse(JSON.parse(text));
  } catch {
    throw new InvalidArgumentError(what);
  }
}
