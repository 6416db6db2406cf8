import { ConfigError } from "./config-error.ts";

interface WorkerInput {
  url: string;
  bootstrapPort?: number | null;
}

/**
 * Arguments of `--prefill URL [PORT|none]` or `--decode URL`, repeated: each URL may be followed by its bootstrap port.
 */
export function workersFromFlags(role: "prefill" | "decode", args: readonly string[]): WorkerInput[] {
  const workers: WorkerInput[] = [];
  for (const arg of args) {
    const last = workers.at(-1);
    if (/^(\d+|none)$/i.test(arg)) {
      if (role === "decode")
        throw new ConfigError(`--decode: expected a URL, came '${arg}' (only --prefill takes a bootstrap port)`);
      if (last === undefined || last.bootstrapPort !== undefined)
        throw new ConfigError(`--prefill: expected a URL before the port '${arg}'`);
      last.bootstrapPort = arg.toLowerCase() === "none" ? null : Number(arg);
    } else workers.push({ url: arg });
  }
  return workers;
}
