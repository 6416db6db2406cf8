import type { Fleet } from "./fleet.ts";
import type { Worker, WorkerSpec } from "./worker.ts";

/** A change of the fleet that other serving threads must make too. */
export type FleetChange =
  | { readonly kind: "add"; readonly spec: WorkerSpec; readonly slot: number }
  | { readonly kind: "remove"; readonly slot: number };

export interface FleetOwner {
  readonly fleet: Fleet;
  addWorker(spec: WorkerSpec, slot?: number): Worker;
  removeWorker(worker: Worker): void;
}

const LOOK_EVERY = 100;

/** Changes the fleet here and in the other serving threads. */
export class FleetControl {
  readonly #owner: FleetOwner;
  /** Set by whoever runs several threads. */
  tell: (change: FleetChange) => void = () => undefined;

  constructor(owner: FleetOwner) {
    this.#owner = owner;
  }

  add(spec: WorkerSpec): Worker {
    const worker = this.#owner.addWorker(spec);
    this.tell({ kind: "add", spec, slot: worker.slot });
    return worker;
  }

  /** Takes a worker out at once; its running requests end by themselves. */
  remove(worker: Worker): void {
    worker.draining = true;
    this.#owner.removeWorker(worker);
    this.tell({ kind: "remove", slot: worker.slot });
    void this.#freeWhenIdle(worker);
  }

  /** Takes a worker out when its requests have ended, or after `patience` ms. */
  async removeWhenIdle(worker: Worker, patience: number): Promise<void> {
    const deadline = performance.now() + patience;
    while (worker.requests > 0 && performance.now() < deadline && worker.draining) await Bun.sleep(LOOK_EVERY);
    // Somebody changed their mind and lets it serve again.
    if (worker.draining) this.remove(worker);
  }

  /** Makes a change that another thread has made. */
  follow(change: FleetChange): void {
    if (change.kind === "add") this.#owner.addWorker(change.spec, change.slot);
    else {
      const worker = this.#owner.fleet.all().find(({ slot }) => slot === change.slot);
      if (worker !== undefined) this.#owner.removeWorker(worker);
    }
  }

  /** The slot serves another worker only when no thread counts in it any more. */
  async #freeWhenIdle(worker: Worker): Promise<void> {
    while (worker.requests > 0) await Bun.sleep(LOOK_EVERY);
    worker.close();
    this.#owner.fleet.shared.free(worker.slot);
  }
}
