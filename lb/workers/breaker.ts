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

export type BreakerState = "closed" | "open" | "half-open";

/** Keeps requests from a worker that fails them. Only what was the worker's own fault may be reported here. */
export class Breaker {
  readonly #options: BreakerOptions;
  #state: BreakerState = "closed";
  #failures = 0;
  #successes = 0;
  #since = 0;
  #trial = false;

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Whether a request may be sent at `now` (ms). */
  allows(now: number): boolean {
    if (this.#state === "closed") return true;
    if (this.#state === "open") return now - this.#since >= this.#options.openFor;
    return !this.#trial;
  }

  /** A request is being sent: half-open lets one through at a time. */
  begin(now: number): void {
    if (this.#state === "closed") return;
    if (this.#state === "open" && now - this.#since >= this.#options.openFor) {
      this.#state = "half-open";
      this.#successes = 0;
    }
    this.#trial = true;
  }

  /** The request ended through no fault and to no credit of the worker. */
  release(): void {
    this.#trial = false;
  }

  success(): void {
    this.#trial = false;
    if (this.#state === "closed") {
      this.#failures = 0;
    } else if (this.#state === "half-open" && ++this.#successes >= this.#options.successes) {
      this.#state = "closed";
      this.#failures = 0;
    }
  }

  failure(now: number): void {
    this.#trial = false;
    if (this.#options.threshold === 0) return;
    if (this.#state === "half-open") return this.#open(now);
    if (this.#state === "open") return;
    if (now - this.#since > this.#options.window) {
      this.#failures = 0;
      this.#since = now;
    }
    if (++this.#failures >= this.#options.threshold) this.#open(now);
  }

  /** Back to closed, as after an operator's intervention. */
  reset(): void {
    this.#state = "closed";
    this.#failures = 0;
    this.#trial = false;
  }

  #open(now: number): void {
    this.#state = "open";
    this.#since = now;
    this.#trial = false;
  }
}
