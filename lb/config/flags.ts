import { Command, CommanderError, Option } from "commander";
import type { z } from "zod";
import { ConfigError } from "./config-error.ts";
import { optionsSchema } from "./options.ts";
import { workersFromFlags } from "./worker-flags.ts";

type Raw = Record<string, unknown>;

export const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
export const envName = (name: string): string => `KVWIRE_LB_${kebab(name).replaceAll("-", "_").toUpperCase()}`;

export const OPTION_NAMES = Object.keys(optionsSchema.shape) as (keyof typeof optionsSchema.shape)[];

const isSwitch = (name: keyof typeof optionsSchema.shape): boolean =>
  typeof optionsSchema.shape[name].safeParse(undefined).data === "boolean";

function defaultText(name: keyof typeof optionsSchema.shape): string {
  const value: unknown = optionsSchema.shape[name].safeParse(undefined).data;
  if (value === undefined || value === false || (Array.isArray(value) && value.length === 0)) return "";
  return ` (${Array.isArray(value) ? value.join(",") : String(value)})`;
}

function placeholder(name: keyof typeof optionsSchema.shape): string {
  if (name === "prefill") return " <url...>";
  if (name === "decode") return " <url...>";
  return isSwitch(name) ? "" : " <value>";
}

export interface CommandLine {
  /** Options that were given, unparsed. */
  readonly given: Raw;
  readonly configFile: string | undefined;
  readonly printConfig: boolean;
}

/** Reads the command line. Throws ConfigError; `--help` prints and gives undefined. */
export function readFlags(argv: readonly string[]): CommandLine | undefined {
  const command = new Command("kvwire-lb")
    .description("Load balancer for disaggregated prefill and decode servers")
    .usage("--prefill URL [BOOTSTRAP_PORT|none] --decode URL [options]")
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .option("--config <file>", "JSON, JSONC, YAML or TOML file of options; flags and environment win")
    .option("--print-config", "print the options in force and exit");
  for (const name of OPTION_NAMES) {
    const text = `${optionsSchema.shape[name].description ?? ""}${defaultText(name)}`;
    command.addOption(new Option(`--${kebab(name)}${placeholder(name)}`, text));
  }
  // Names of SGLang's mini_lb that mean nothing here are taken without complaint.
  for (const name of ["--pd-disaggregation", "--mini-lb"]) command.addOption(new Option(name).hideHelp());
  command.addHelpText(
    "after",
    `\nEvery option is also an environment variable: --queue-size is ${envName("queueSize")}.\n` +
      "Example: kvwire-lb --prefill http://10.0.0.1:30000 8998 --decode http://10.0.0.2:30001 --port 8000",
  );
  try {
    command.parse(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw new ConfigError(error.message.replace(/^error: /, ""));
  }
  const { config, printConfig, pdDisaggregation: _pd, miniLb: _mini, ...given } = command.opts<Raw>();
  if (given["prefill"] !== undefined) given["prefill"] = workersFromFlags("prefill", given["prefill"] as string[]);
  if (given["decode"] !== undefined) given["decode"] = workersFromFlags("decode", given["decode"] as string[]);
  return { given, configFile: config as string | undefined, printConfig: printConfig === true };
}

/** Options from environment variables; workers are given as their flags' arguments, separated by blanks. */
export function readEnvironment(env: Record<string, string | undefined>): Raw {
  const raw: Raw = {};
  for (const name of OPTION_NAMES) {
    const value = env[envName(name)];
    if (value === undefined) continue;
    raw[name] = name === "prefill" || name === "decode" ? workersFromFlags(name, value.trim().split(/\s+/)) : value;
  }
  return raw;
}

/** Checks and completes options. The message of the ConfigError names each flag and what is allowed. */
export function parseOptions(raw: Raw): z.output<typeof optionsSchema> {
  const result = optionsSchema.safeParse(raw);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => {
    const [name, ...rest] = issue.path;
    const where =
      name === undefined ? "options" : `--${kebab(String(name))}${rest.length > 0 ? ` (${rest.join(".")})` : ""}`;
    return `${where}: ${issue.message}`;
  });
  throw new ConfigError(lines.join("\n"));
}
