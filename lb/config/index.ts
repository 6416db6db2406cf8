export { ConfigError } from "./config-error.ts";
export { envName, kebab, OPTION_NAMES, parseOptions } from "./flags.ts";
export { loadConfig, spreadBootstrapPorts, type LoadedConfig } from "./load.ts";
export {
  optionsSchema,
  POLICY_NAMES,
  workerSchema,
  type Options,
  type OptionsInput,
  type WorkerOption,
} from "./options.ts";
