import { ConfigError } from "./config-error.ts";
import { parseOptions, readEnvironment, readFlags } from "./flags.ts";
import type { Options } from "./options.ts";

/** Gives every prefill without a bootstrap port the one from `--prefill-bootstrap-ports`. */
export function spreadBootstrapPorts(options: Options): Options {
  const { prefill, prefillBootstrapPorts: ports } = options;
  if (ports.length === 0) return options;
  const without = prefill.filter((worker) => worker.bootstrapPort === undefined);
  if (ports.length !== 1 && ports.length !== without.length) {
    throw new ConfigError(
      `--prefill-bootstrap-ports: expected one port, or one for each of the ${without.length} prefill servers without one, came ${ports.length}`,
    );
  }
  let next = 0;
  const spread = prefill.map((worker) => {
    if (worker.bootstrapPort !== undefined) return worker;
    return { ...worker, bootstrapPort: ports.length === 1 ? ports[0]! : ports[next++]! };
  });
  return { ...options, prefill: spread };
}

/** A JSON, JSONC, YAML or TOML file, by its ending. */
async function readFile(path: string): Promise<Record<string, unknown>> {
  const file = Bun.file(path);
  if (!(await file.exists())) throw new ConfigError(`--config: ${path} does not exist`);
  const text = await file.text();
  let value: unknown;
  try {
    if (/\.ya?ml$/.test(path)) value = Bun.YAML.parse(text);
    else if (path.endsWith(".toml")) value = Bun.TOML.parse(text);
    else value = Bun.JSONC.parse(text);
  } catch (error) {
    throw new ConfigError(`--config: ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ConfigError(`--config: ${path} is not an object`);
  return value as Record<string, unknown>;
}

export interface LoadedConfig {
  readonly options: Options;
  readonly printConfig: boolean;
}

/** Flags over environment over file over defaults. Undefined: help was printed. */
export async function loadConfig(
  argv: readonly string[],
  env: Record<string, string | undefined>,
): Promise<LoadedConfig | undefined> {
  const line = readFlags(argv);
  if (line === undefined) return undefined;
  const configFile = line.configFile ?? env["KVWIRE_LB_CONFIG"];
  const file = configFile === undefined ? {} : await readFile(configFile);
  const options = parseOptions({ ...file, ...readEnvironment(env), ...line.given });
  return { options: spreadBootstrapPorts(options), printConfig: line.printConfig };
}
