import type { Fleet } from "./fleet.ts";

export interface AdmissionOptions {
  /** Requests served at once; negative: no limit. */
  readonly maxActive: number;
  /** Requests given at once to one prefill; 0: no limit. */
  readonly maxPerPrefill: number;
  readonly queueSize: number;
  /** ms */
  readonly queueTimeout: number;
}

/** Why a request was turned away. */
export type Shed = "queue_full" | "queue_timeout" | "left";

interface Waiter {
  readonly resolve: (verdict: Shed | undefined) => void;
  readonly deadline: number;
}

/**
 * The queue before the workers. A prefill's accept queue overflows under a burst and resets connections; here the burst
 * waits in order, or is told when to come again.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #fleet: Fleet;
  readonly #queue: Waiter[] = [];
  readonly #active: Int32Array<SharedArrayBuffer>;
  /** Let in from the queue, but not yet sent to a prefill. */
  #entering = 0;
  /** Moving average of how long a request is served, ms. */
  #service = 1000;
  shed = 0;

  constructor(options: AdmissionOptions, fleet: Fleet) {
    this.#options = options;
    this.#fleet = fleet;
    this.#active = fleet.shared.active;
  }

  /** Requests being served, by all threads together. */
  get active(): number {
    return this.#active[0]!;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /** Undefined at once where there is room; else a promise of undefined, or of why the request was turned away. */
  enter(now: number, signal?: () => AbortSignal): Promise<Shed | undefined> | undefined {
    if (this.#queue.length === 0 && this.#room()) {
      Atomics.add(this.#active, 0, 1);
      return undefined;
    }
    if (this.#queue.length >= this.#options.queueSize) {
      this.shed++;
      return Promise.resolve("queue_full");
    }
    return new Promise((resolve) => {
      const waiter = { resolve, deadline: now + this.#options.queueTimeout };
      this.#queue.push(waiter);
      signal?.().addEventListener("abort", () => this.#drop(waiter, "left"), { once: true });
    });
  }

  /** A request that had waited has now been sent. */
  begun(): void {
    this.#entering--;
  }

  /** A request that entered is over after `duration` ms. */
  leave(duration: number): void {
    Atomics.sub(this.#active, 0, 1);
    this.#service += (duration - this.#service) * 0.1;
    this.pump();
  }

  /** Lets in who can be. Also called when a prefill has answered. */
  pump(): void {
    while (this.#queue.length > 0 && this.#room()) {
      Atomics.add(this.#active, 0, 1);
      this.#entering++;
      this.#queue.shift()!.resolve(undefined);
    }
  }

  /** Turns away who has waited too long. */
  sweep(now: number): void {
    this.pump();
    while (this.#queue.length > 0 && this.#queue[0]!.deadline <= now) this.#drop(this.#queue[0]!, "queue_timeout");
  }

  /** Seconds after which it is worth coming again, from 1 to 60. */
  retryAfter(): number {
    const ahead = (this.#service * (this.#queue.length + 1)) / Math.max(1, this.active);
    return Math.min(60, Math.max(1, Math.ceil(ahead / 1000)));
  }

  #room(): boolean {
    const { maxActive, maxPerPrefill } = this.#options;
    if (maxActive >= 0 && this.active >= maxActive) return false;
    if (maxPerPrefill === 0) return true;
    const prefills = this.#fleet.available("prefill");
    // With none available the request goes on, to be told so.
    if (prefills.length === 0) return true;
    const free = prefills.reduce((sum, worker) => sum + Math.max(0, maxPerPrefill - worker.requests), 0);
    return free > this.#entering;
  }

  #drop(waiter: Waiter, why: Shed): void {
    const at = this.#queue.indexOf(waiter);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    this.shed++;
    waiter.resolve(why);
  }
}
