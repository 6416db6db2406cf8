import { TimerFd } from "../../../ffi/libc/index.ts";
import type { Reactor, Watch } from "../transport.ts";

const TICK_MS = 20;

/** Calls back after a while, from the poll loop; costs nothing while nobody waits. */
export class Alarms {
  readonly #timer = TimerFd.create();
  readonly #watch: Watch;
  readonly #now: () => number;
  readonly #pending = new Set<{ readonly at: number; readonly call: () => void }>();

  constructor(reactor: Reactor, now: () => number) {
    this.#now = now;
    this.#watch = reactor.watch(this.#timer.fd, { readable: true }, () => this.#tick());
  }

  /** Calls once, unless the function that it gives is called before. */
  after(delayMs: number, call: () => void): () => void {
    const alarm = { at: this.#now() + delayMs, call };
    if (this.#pending.size === 0) this.#timer.repeat(TICK_MS);
    this.#pending.add(alarm);
    return () => this.#drop(alarm);
  }

  close(): void {
    this.#pending.clear();
    this.#watch.close();
    this.#timer.close();
  }

  #tick(): void {
    this.#timer.drain();
    const now = this.#now();
    for (const alarm of this.#pending) {
      if (now < alarm.at || !this.#pending.has(alarm)) continue;
      this.#drop(alarm);
      alarm.call();
    }
  }

  #drop(alarm: { readonly at: number; readonly call: () => void }): void {
    if (this.#pending.delete(alarm) && this.#pending.size === 0) this.#timer.repeat(0);
  }
}
