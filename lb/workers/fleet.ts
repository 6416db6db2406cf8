import { SharedState } from "./shared-state.ts";
import { Worker, type Role, type WorkerOptions, type WorkerSpec } from "./worker.ts";

/** The workers that are known, by role. */
export class Fleet {
  readonly #options: WorkerOptions;
  readonly #shared: SharedState;
  readonly #workers = new Set<Worker>();
  /** The same by role, as arrays that are replaced and never changed: policies may keep them. */
  #byRole: Readonly<Record<Role, readonly Worker[]>> = { prefill: [], decode: [] };

  constructor(options: WorkerOptions, shared = new SharedState()) {
    this.#options = options;
    this.#shared = shared;
  }

  get shared(): SharedState {
    return this.#shared;
  }

  all(): Worker[] {
    return [...this.#workers];
  }

  of(role: Role): readonly Worker[] {
    return this.#byRole[role];
  }

  /** Those of a role that may be given a request now. */
  available(role: Role): readonly Worker[] {
    const workers = this.#byRole[role];
    for (const worker of workers) if (!worker.available) return workers.filter((other) => other.available);
    return workers;
  }

  find(name: string): Worker | undefined {
    for (const worker of this.#workers) if (worker.name === name || worker.url.href === name) return worker;
    return undefined;
  }

  /** Adds a worker; with `slot`, one that another thread has added already. */
  add(spec: WorkerSpec, slot = this.#shared.allocate()): Worker {
    const worker = new Worker(spec, this.#options, this.#shared, slot);
    this.#workers.add(worker);
    this.#sort();
    return worker;
  }

  /** Forgets a worker; its running requests end by themselves. */
  remove(worker: Worker): void {
    if (this.#workers.delete(worker)) this.#sort();
  }

  sweep(now: number): void {
    for (const worker of this.#workers) worker.pool.sweep(now);
  }

  close(): void {
    for (const worker of this.#workers) worker.close();
    this.#workers.clear();
    this.#sort();
  }

  #sort(): void {
    const all = this.all();
    this.#byRole = {
      prefill: all.filter((worker) => worker.role === "prefill"),
      decode: all.filter((worker) => worker.role === "decode"),
    };
  }
}
