import { yieldProcessor } from "../../ffi/libc/index.ts";
import { now } from "../clock.ts";

/** Whoever keeps the processor for longer has no short slice: a compiler, say, which keeps it to the kernel's next tick. */
const KEPT_MS = 1;
/** For so long nobody is let in any more while there is work, or is given the chance by a thread that only looks on. */
const OFFENDED_BUSY_MS = 8;
const OFFENDED_IDLE_MS = 40;

/**
 * Lets whoever waits for this thread's processor run: the peer, or this side's engine. If those to whom it was left
 * do not give it back soon, it is not left for a while.
 */
export class Courtesy {
  readonly #now: () => number;
  readonly #giveWay: () => void;
  #yieldAgainAt = 0;
  #lookOnAgainAt = 0;

  /** `clock` in milliseconds; `giveWay` returns when the processor is this thread's again. */
  constructor(clock = now, giveWay = yieldProcessor) {
    this.#now = clock;
    this.#giveWay = giveWay;
  }

  /** Whether to look on for more to do, giving way all the time, is no danger now. */
  mayLookOn(at: number): boolean {
    return at >= this.#lookOnAgainAt;
  }

  giveWay(): void {
    const from = this.#now();
    if (from < this.#yieldAgainAt) return;
    this.#giveWay();
    const back = this.#now();
    if (back - from <= KEPT_MS) return;
    this.#yieldAgainAt = back + OFFENDED_BUSY_MS;
    this.#lookOnAgainAt = back + OFFENDED_IDLE_MS;
  }
}
