import type { Worker } from "../workers/index.ts";

/** What a request more would wait for: prompt tokens not yet computed at a prefill, running requests at a decode. */
export function loadOf(worker: Worker): number {
  return (worker.role === "prefill" ? worker.tokens : worker.requests) * worker.cost;
}

/** The least loaded; among equals one at random, so that idle workers share. */
export function leastLoaded(workers: readonly Worker[]): Worker {
  let best = workers[0]!;
  let load = loadOf(best);
  let equals = 1;
  for (let i = 1; i < workers.length; i++) {
    const worker = workers[i]!;
    const other = loadOf(worker);
    if (other > load) continue;
    if (other < load) equals = 0;
    equals++;
    if (other === load && Math.random() * equals >= 1) continue;
    best = worker;
    load = other;
  }
  return best;
}
