export interface StopMatch {
  readonly stop: string;
  /** Where in the text the match begins. */
  readonly at: number;
}

/** Finds stop strings in a growing text, wherever token boundaries fall. */
export class StopStrings {
  readonly #stops: readonly string[];
  readonly #longest: number;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
    this.#longest = stops.reduce((longest, stop) => Math.max(longest, stop.length), 0);
  }

  /** The first match in `text`, of which the first `searched` characters had none. */
  find(text: string, searched: number): StopMatch | undefined {
    const from = Math.max(0, searched - this.#longest + 1);
    let found: StopMatch | undefined;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop, from);
      if (at >= 0 && (found === undefined || at < found.at)) found = { stop, at };
    }
    return found;
  }

  /** How many characters at the end of `text` may be the beginning of a stop string: not to be shown yet. */
  pending(text: string): number {
    for (let length = Math.min(this.#longest - 1, text.length); length > 0; length--) {
      const tail = text.slice(text.length - length);
      if (this.#stops.some((stop) => stop.length > length && stop.startsWith(tail))) return length;
    }
    return 0;
  }
}
