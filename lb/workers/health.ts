/** What probes say of a worker. It is taken to be up until they say otherwise. */
export class Health {
  up = true;
  /** Probes answered since start. */
  checks = 0;
  lastError: string | undefined;
  #streak = 0;

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
    this.up = ok;
    return true;
  }
}
