import { Worker, type Role, type WorkerOptions, type WorkerSpec } from "./worker.ts";

/** The workers that are known, by role. */
export class Fleet {
  readonly #options: WorkerOptions;
  readonly #workers = new Set<Worker>();
  readonly #onRemoved: (worker: Worker) => void;

  constructor(options: WorkerOptions, onRemoved: (worker: Worker) => void = () => undefined) {
    this.#options = options;
    this.#onRemoved = onRemoved;
  }

  all(): Worker[] {
    return [...this.#workers];
  }

  of(role: Role): Worker[] {
    return this.all().filter((worker) => worker.role === role);
  }

  /** Those of a role that may be given a request now. */
  available(role: Role): Worker[] {
    const list: Worker[] = [];
    for (const worker of this.#workers) if (worker.role === role && worker.available) list.push(worker);
    return list;
  }

  find(name: string): Worker | undefined {
    for (const worker of this.#workers) if (worker.name === name || worker.url.href === name) return worker;
    return undefined;
  }

  add(spec: WorkerSpec): Worker {
    const worker = new Worker(spec, this.#options);
    this.#workers.add(worker);
    return worker;
  }

  remove(worker: Worker): void {
    if (!this.#workers.delete(worker)) return;
    this.#onRemoved(worker);
  }

  sweep(now: number): void {
    for (const worker of this.#workers) worker.pool.sweep(now);
  }

  close(): void {
    for (const worker of this.#workers) worker.close();
    this.#workers.clear();
  }
}
