import { CELL } from "./shared-state.ts";

/** What probes say of a worker, in a cell that all serving threads share. It is taken to be up until they say otherwise. */
export class Health {
  readonly #cells: Int32Array<SharedArrayBuffer>;
  /** Probes answered since start. */
  checks = 0;
  lastError: string | undefined;
  #streak = 0;

  constructor(cells: Int32Array<SharedArrayBuffer>) {
    this.#cells = cells;
  }

  get up(): boolean {
    return this.#cells[CELL.down] === 0;
  }

  /** Counts one probe; gives true when the verdict changed. */
  record(ok: boolean, failuresDown: number, successesUp: number, error?: string): boolean {
    this.checks++;
    this.lastError = ok ? undefined : error;
    if (ok === this.up) {
      this.#streak = 0;
      return false;
    }
    if (++this.#streak < (ok ? successesUp : failuresDown)) return false;
    this.#streak = 0;
    Atomics.store(this.#cells, CELL.down, ok ? 0 : 1);
    return true;
  }
}
