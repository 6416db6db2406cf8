import type { Worker } from "./worker.ts";

interface Pair {
  readonly prefill: Worker;
  readonly decode: Worker;
}

interface Record {
  failures: number;
  since: number;
}

/** Failures of one pair, by neither side's fault, after which the two are kept apart. */
const FAILURES = 3;
/** ms within which they count, and for which the pair is kept apart. */
const WINDOW = 60_000;

/** Pairs that fail together while each works with others: a broken path between two hosts, say. */
export class PairQuarantine {
  readonly #pairs = new Map<string, Record>();

  failed(pair: Pair, now: number): void {
    const key = keyOf(pair);
    const record = this.#pairs.get(key);
    if (record === undefined || now - record.since > WINDOW) this.#pairs.set(key, { failures: 1, since: now });
    else {
      record.failures++;
      record.since = now;
    }
  }

  succeeded(pair: Pair): void {
    if (this.#pairs.size > 0) this.#pairs.delete(keyOf(pair));
  }

  /** The decodes that may be paired with this prefill; all where none would be left. */
  partners(prefill: Worker, decodes: readonly Worker[], now: number): readonly Worker[] {
    if (this.#pairs.size === 0) return decodes;
    const good = decodes.filter((decode) => !this.#apart(keyOf({ prefill, decode }), now));
    return good.length > 0 ? good : decodes;
  }

  #apart(key: string, now: number): boolean {
    const record = this.#pairs.get(key);
    if (record === undefined) return false;
    if (now - record.since <= WINDOW) return record.failures >= FAILURES;
    this.#pairs.delete(key);
    return false;
  }
}

const keyOf = ({ prefill, decode }: Pair): string => `${prefill.name} ${decode.name}`;
