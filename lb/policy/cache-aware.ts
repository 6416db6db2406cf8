import type { Worker } from "../workers/index.ts";
import { leastLoaded, loadOf } from "./load.ts";
import type { Choice, Policy } from "./policy.ts";
import { prefixes, PrefixIndex } from "./prefix-index.ts";

export interface CacheAwareOptions {
  /** Part of the prompt that a worker must have seen to be followed. */
  readonly threshold: number;
  /** Imbalance above which (both) the least loaded is taken instead: a difference and a ratio of loads. */
  readonly absolute: number;
  readonly relative: number;
  /** Memory for each model's prefixes. */
  readonly maxBytes: number;
}

/** Models that are kept apart; requests name them freely, so there is an end to it. */
const MAX_MODELS = 64;

/** Prompts go where their beginning has been before, unless that would overload one worker. */
export function cacheAware(options: CacheAwareOptions): Policy {
  const models = new Map<string, PrefixIndex>();

  const indexOf = (model: string): PrefixIndex => {
    let index = models.get(model);
    if (index === undefined) {
      index = new PrefixIndex(options.maxBytes);
      models.set(model, index);
      const [oldest] = models.keys();
      if (models.size > MAX_MODELS && oldest !== undefined) models.delete(oldest);
    }
    return index;
  };

  const unbalanced = (workers: readonly Worker[]): boolean => {
    const loads = workers.map(loadOf);
    const [low, high] = [Math.min(...loads), Math.max(...loads)];
    return high - low > options.absolute && high > low * options.relative;
  };

  return {
    name: "cache_aware",
    choose(workers, { request }: Choice) {
      // With one to choose from there is nothing to learn either: prefixes are told again when there are two.
      if (workers.length === 1) return workers[0]!;
      const { prompt } = request;
      if (prompt === undefined) return leastLoaded(workers);
      const index = indexOf(request.model ?? "");
      const names = prefixes(request.bytes, prompt.start, prompt.end);
      let chosen: Worker | undefined;
      if (!unbalanced(workers)) {
        const depths = index.match(names, workers);
        const deepest = Math.max(0, ...depths.values());
        if (deepest >= names.length * options.threshold && deepest > 0) {
          chosen = leastLoaded(workers.filter((worker) => depths.get(worker) === deepest));
        }
      }
      chosen ??= leastLoaded(workers);
      index.insert(names, chosen);
      return chosen;
    },
    forget(worker) {
      for (const index of models.values()) index.forget(worker);
    },
  };
}
