import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Options } from "../config/index.ts";
import { ConfigError, POLICY_NAMES } from "../config/index.ts";
import { cacheAware } from "./cache-aware.ts";
import { consistentHash } from "./consistent-hash.ts";
import { leastLoad } from "./least-load.ts";
import type { Policy } from "./policy.ts";
import { powerOfTwo } from "./power-of-two.ts";
import { random } from "./random.ts";
import { roundRobin } from "./round-robin.ts";

export interface PolicyPair {
  readonly prefill: Policy;
  readonly decode: Policy;
}

const isBuiltIn = (name: string): boolean => (POLICY_NAMES as readonly string[]).includes(name);

function builtIn(name: string, options: Options): Policy {
  switch (name) {
    case "random":
      return random();
    case "round_robin":
      return roundRobin();
    case "power_of_two":
      return powerOfTwo();
    case "least_load":
      return leastLoad();
    case "consistent_hash":
      return consistentHash(options.hashHeader);
    case "cache_aware":
      return cacheAware({
        threshold: options.cacheThreshold,
        absolute: options.balanceAbsThreshold,
        relative: options.balanceRelThreshold,
        maxBytes: options.maxTreeSize,
      });
    default:
      throw new ConfigError(`--policy: ${name} is a module and must be loaded with loadPolicies`);
  }
}

const namesOf = (options: Options): { prefill: string; decode: string } => ({
  prefill: options.prefillPolicy ?? options.policy,
  // Decode gets its KV cache from prefill: where a prompt was before does not matter to it.
  decode: options.decodePolicy ?? (options.policy === "cache_aware" ? "power_of_two" : options.policy),
});

/** The policies of both roles, where both are built in. */
export function createPolicies(options: Options): PolicyPair {
  const names = namesOf(options);
  return { prefill: builtIn(names.prefill, options), decode: builtIn(names.decode, options) };
}

/** The same, loading modules: such a module exports `createPolicy(options): Policy`. */
export async function loadPolicies(options: Options): Promise<PolicyPair> {
  const load = async (name: string): Promise<Policy> => {
    if (isBuiltIn(name)) return builtIn(name, options);
    const module = (await import(pathToFileURL(resolve(name)).href)) as { createPolicy?: (options: Options) => Policy };
    if (typeof module.createPolicy !== "function")
      throw new ConfigError(`--policy: ${name} exports no createPolicy function`);
    const policy = module.createPolicy(options);
    if (typeof policy?.choose !== "function") throw new ConfigError(`--policy: createPolicy of ${name} gave no policy`);
    return policy;
  };
  const names = namesOf(options);
  return { prefill: await load(names.prefill), decode: await load(names.decode) };
}
