import { ask } from "./ask.ts";
import type { Fleet } from "./fleet.ts";
import type { Worker } from "./worker.ts";

export interface HealthCheckOptions {
  /** ms between two probes of a worker; 0: none. */
  readonly interval: number;
  /** ms a probe may take; an engine runs a real generation and needs more than 1,000. */
  readonly timeout: number;
  readonly path: string;
  readonly failuresDown: number;
  readonly successesUp: number;
}

/** Probes every worker in turn, with its own key, never two at once to the same one. */
export class HealthChecker {
  readonly #fleet: Fleet;
  readonly #options: HealthCheckOptions;
  readonly #onChange: (worker: Worker) => void;
  readonly #running = new Set<Worker>();
  readonly #timer: ReturnType<typeof setInterval> | undefined;

  constructor(fleet: Fleet, options: HealthCheckOptions, onChange: (worker: Worker) => void = () => undefined) {
    this.#fleet = fleet;
    this.#options = options;
    this.#onChange = onChange;
    if (options.interval > 0) this.#timer = setInterval(() => this.checkAll(), options.interval);
  }

  /** Probes those that are not being probed. */
  checkAll(): void {
    for (const worker of this.#fleet.all()) if (!this.#running.has(worker)) void this.check(worker);
  }

  /** Probes one worker; gives what the probe found. Never throws. */
  async check(worker: Worker): Promise<boolean> {
    const { path, timeout, failuresDown, successesUp } = this.#options;
    this.#running.add(worker);
    const reply = await ask(worker, { method: "GET", path, timeout });
    this.#running.delete(worker);
    const error = reply.status === 200 ? undefined : `status ${reply.status} ${reply.body.slice(0, 200)}`.trim();
    if (worker.health.record(error === undefined, failuresDown, successesUp, error)) this.#onChange(worker);
    return error === undefined;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
