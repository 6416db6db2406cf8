/** Wakes whoever waits for something to change. A change between looking and waiting is not missed: see `version`. */
export class Signal {
  #version = 0;
  #waiters: (() => void)[] = [];

  /** Grows with every `notify`. Read it before looking at the state that may change. */
  get version(): number {
    return this.#version;
  }

  notify(): void {
    this.#version++;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  /** Settles once there was a change after `version` was read. */
  async changedSince(version: number): Promise<void> {
    if (this.#version !== version) return;
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }
}
