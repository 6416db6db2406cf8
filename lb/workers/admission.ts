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

/** Who waits in the queue; told once how that ended. */
export interface Waiter {
  admitted(): void;
  turnedAway(why: Shed): void;
}

/**
 * The queue before the workers. A prefill's accept queue overflows under a burst and resets connections; here the burst
 * waits in order, or is told when to come again.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #fleet: Fleet;
  readonly #queue: { readonly waiter: Waiter; readonly deadline: number }[] = [];
  readonly #active: Int32Array<SharedArrayBuffer>;
  /** Moving average of how long a request is served, ms. */
  #service = 1000;
  #pumping = false;
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

  /** True where there is room; else the waiter is told, now or later. */
  enter(now: number, waiter: Waiter): boolean {
    if (this.#queue.length === 0 && this.#room()) {
      Atomics.add(this.#active, 0, 1);
      return true;
    }
    if (this.#queue.length < this.#options.queueSize) {
      this.#queue.push({ waiter, deadline: now + this.#options.queueTimeout });
    } else {
      this.shed++;
      waiter.turnedAway("queue_full");
    }
    return false;
  }

  /** Somebody leaves the queue. */
  withdraw(waiter: Waiter): void {
    const at = this.#queue.findIndex((queued) => queued.waiter === waiter);
    if (at >= 0) this.#drop(at, "left");
  }

  /** A request that entered is over after `duration` ms. */
  leave(duration: number): void {
    Atomics.sub(this.#active, 0, 1);
    this.#service += (duration - this.#service) * 0.1;
    this.pump();
  }

  /** Lets in who can be. Also called when a prefill has answered. */
  pump(): void {
    // Who is let in may be over at once and pump in turn: the outer call goes on.
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#queue.length > 0 && this.#room()) {
        Atomics.add(this.#active, 0, 1);
        this.#queue.shift()!.waiter.admitted();
      }
    } finally {
      this.#pumping = false;
    }
  }

  /** Turns away who has waited too long. */
  sweep(now: number): void {
    this.pump();
    while (this.#queue.length > 0 && this.#queue[0]!.deadline <= now) this.#drop(0, "queue_timeout");
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
    return prefills.some((worker) => worker.requests < maxPerPrefill);
  }

  #drop(at: number, why: Shed): void {
    const [queued] = this.#queue.splice(at, 1);
    this.shed++;
    queued?.waiter.turnedAway(why);
  }
}
