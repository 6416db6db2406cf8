import type { Alarms } from "./alarms.ts";

/** Between attempts the wait doubles up to this many times the first. */
const MAX_FACTOR = 32;

/**
 * When places without a lane are tried again: after a while, then after twice as long, and so on. One that held for longer
 * than its wait begins anew.
 */
export class Rejoin {
  readonly #alarms: Alarms;
  readonly #now: () => number;
  readonly #firstMs: number;
  readonly #attempt: (place: number) => void;
  readonly #waits = new Map<number, { ms: number; at: number }>();
  readonly #stops = new Map<number, () => void>();

  constructor(alarms: Alarms, now: () => number, firstMs: number, attempt: (place: number) => void) {
    this.#alarms = alarms;
    this.#now = now;
    this.#firstMs = firstMs;
    this.#attempt = attempt;
  }

  /** The place has no lane, or has lost it. */
  schedule(place: number): void {
    if (this.#stops.has(place)) return;
    const last = this.#waits.get(place);
    const again = last !== undefined && this.#now() - last.at < 2 * last.ms;
    const ms = again ? Math.min(2 * last.ms, MAX_FACTOR * this.#firstMs) : this.#firstMs;
    const stop = this.#alarms.after(ms, () => {
      this.#stops.delete(place);
      this.#waits.set(place, { ms, at: this.#now() });
      this.#attempt(place);
    });
    this.#stops.set(place, stop);
  }

  close(): void {
    for (const stop of this.#stops.values()) stop();
    this.#stops.clear();
  }
}
