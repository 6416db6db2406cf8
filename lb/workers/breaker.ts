import { CELL, SharedState } from "./shared-state.ts";

export interface BreakerOptions {
  /** Failures within the window that open it; 0 turns it off. */
  readonly threshold: number;
  /** Good answers that close it again. */
  readonly successes: number;
  /** ms for which it stays open before one request may try. */
  readonly openFor: number;
  /** ms after which a failure is forgotten. */
  readonly window: number;
}

const STATES = ["closed", "open", "half-open"] as const;
export type BreakerState = (typeof STATES)[number];
const CLOSED = 0;
const OPEN = 1;
const HALF_OPEN = 2;

/** A trial whose request never told how it ended counts for nothing after this many ms. */
const TRIAL_LIFE = 60_000;

/**
 * Keeps requests from a worker that fails them. Only what was the worker's own fault may be reported here. The state is
 * in cells that all serving threads share.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  readonly #cells: Int32Array<SharedArrayBuffer>;
  readonly #shared: SharedState;

  constructor(options: BreakerOptions, shared: SharedState, cells: Int32Array<SharedArrayBuffer>) {
    this.#options = options;
    this.#shared = shared;
    this.#cells = cells;
  }

  get state(): BreakerState {
    return STATES[Atomics.load(this.#cells, CELL.breaker)]!;
  }

  /** Whether a request may be sent now. */
  allows(): boolean {
    const state = this.#cells[CELL.breaker]!;
    if (state === CLOSED) return true;
    if (state === OPEN) return this.#elapsed(CELL.since, this.#options.openFor);
    return Atomics.load(this.#cells, CELL.trial) === 0 || this.#elapsed(CELL.trial, TRIAL_LIFE);
  }

  /** A request is being sent: half-open lets one through at a time. */
  begin(): void {
    if (this.#cells[CELL.breaker] === CLOSED) return;
    if (Atomics.load(this.#cells, CELL.breaker) === OPEN && this.#elapsed(CELL.since, this.#options.openFor)) {
      Atomics.store(this.#cells, CELL.successes, 0);
      Atomics.store(this.#cells, CELL.breaker, HALF_OPEN);
    }
    Atomics.store(this.#cells, CELL.trial, this.#shared.ticks());
  }

  /** The request ended, through no fault of the worker if nothing else was said. */
  release(): void {
    if (this.#cells[CELL.trial] !== 0) Atomics.store(this.#cells, CELL.trial, 0);
  }

  success(): void {
    const state = this.#cells[CELL.breaker]!;
    if (state === CLOSED) {
      if (this.#cells[CELL.failures] !== 0) Atomics.store(this.#cells, CELL.failures, 0);
    } else if (state === HALF_OPEN && Atomics.add(this.#cells, CELL.successes, 1) + 1 >= this.#options.successes) {
      this.reset();
    }
  }

  failure(): void {
    const { threshold, window } = this.#options;
    const state = Atomics.load(this.#cells, CELL.breaker);
    if (threshold === 0 || state === OPEN) return;
    if (state === HALF_OPEN) return this.#open();
    if (this.#elapsed(CELL.since, window)) {
      Atomics.store(this.#cells, CELL.failures, 0);
      Atomics.store(this.#cells, CELL.since, this.#shared.ticks());
    }
    if (Atomics.add(this.#cells, CELL.failures, 1) + 1 >= threshold) this.#open();
  }

  /** Closes it. */
  reset(): void {
    Atomics.store(this.#cells, CELL.failures, 0);
    Atomics.store(this.#cells, CELL.trial, 0);
    Atomics.store(this.#cells, CELL.breaker, CLOSED);
  }

  #open(): void {
    Atomics.store(this.#cells, CELL.since, this.#shared.ticks());
    Atomics.store(this.#cells, CELL.trial, 0);
    Atomics.store(this.#cells, CELL.breaker, OPEN);
  }

  #elapsed(cell: number, ms: number): boolean {
    return this.#shared.ticks() - Atomics.load(this.#cells, cell) >= SharedState.ticksOf(ms);
  }
}
