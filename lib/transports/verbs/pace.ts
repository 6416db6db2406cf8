import type { Lane } from "./lane.ts";
import type { Rail } from "./rail.ts";

/** A rail is judged by as much time in which it had something to do. */
const WINDOW_MS = 250;
/** What has moved less is no measure for others. */
const EVIDENCE_BYTES = 1_048_576;
/** Windows in a row after which a rail crawls. */
const STRIKES = 2;

class RailPace {
  busyMs = 0;
  bytes = 0;
  strikes = 0;
  /** Bytes a millisecond of the last window that is a measure. */
  rate = 0;
}

/**
 * How fast each rail of a pair moves what it is given. One that is many times slower than another holds up every room
 * that has a share on it, and is better left out.
 */
export class Pace {
  readonly #ratio: number;
  readonly #rails = new Map<Rail, RailPace>();
  readonly #landed = new Map<Lane, number>();
  readonly #wasBusy = new Set<Lane>();
  #lastAt = -1;

  /** `ratio`: how many times slower than another a rail may be. */
  constructor(ratio: number) {
    this.#ratio = ratio;
  }

  /** Looks at the lanes; the rails that crawl. To be called again and again while something is under way. */
  observe(now: number, lanes: readonly Lane[]): Rail[] {
    const elapsed = this.#lastAt < 0 ? 0 : now - this.#lastAt;
    this.#lastAt = now;
    const busy = new Set<RailPace>();
    for (const lane of lanes) {
      const pace = this.#of(lane.rail);
      const landed = lane.sends.landedBytes;
      pace.bytes += landed - (this.#landed.get(lane) ?? 0);
      this.#landed.set(lane, landed);
      if (this.#wasBusy.has(lane)) busy.add(pace);
      if (lane.sends.pending > 0) this.#wasBusy.add(lane);
      else this.#wasBusy.delete(lane);
    }
    for (const pace of busy) pace.busyMs += elapsed;
    return [...this.#rails]
      .filter(([rail, pace]) => pace.busyMs >= WINDOW_MS && this.#judge(rail, pace))
      .map(([rail]) => rail);
  }

  /** The lane is gone; what is left of its rail begins anew. */
  forget(lane: Lane): void {
    this.#landed.delete(lane);
    this.#wasBusy.delete(lane);
    this.#rails.delete(lane.rail);
  }

  #judge(rail: Rail, pace: RailPace): boolean {
    const rate = pace.bytes / pace.busyMs;
    const best = Math.max(0, ...[...this.#rails].filter(([other]) => other !== rail).map(([, other]) => rateOf(other)));
    pace.strikes = rate * this.#ratio < best ? pace.strikes + 1 : 0;
    if (pace.bytes >= EVIDENCE_BYTES) pace.rate = rate;
    pace.bytes = pace.busyMs = 0;
    return pace.strikes >= STRIKES;
  }

  #of(rail: Rail): RailPace {
    let pace = this.#rails.get(rail);
    if (!pace) this.#rails.set(rail, (pace = new RailPace()));
    return pace;
  }
}

/** Of the window that has begun where it is a measure by itself. */
function rateOf({ busyMs, bytes, rate }: RailPace): number {
  return bytes >= EVIDENCE_BYTES && busyMs > 0 ? bytes / busyMs : rate;
}
