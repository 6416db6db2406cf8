import type { Worker } from "../workers/index.ts";
import { leastLoaded } from "./load.ts";
import type { Policy } from "./policy.ts";

/**
 * Requests with the same value of a header go to the same worker (rendezvous hashing: a worker that comes or goes moves
 * only its own share); those without the header to the least loaded.
 */
export const consistentHash = (header: string): Policy => ({
  name: "consistent_hash",
  choose(workers, { headers }) {
    const key = headers.get(header);
    if (key === null) return leastLoaded(workers);
    let best: Worker = workers[0]!;
    let score = -1n;
    for (const worker of workers) {
      const own = BigInt(Bun.hash(`${key}\0${worker.name}`));
      if (own > score) [best, score] = [worker, own];
    }
    return best;
  },
});
