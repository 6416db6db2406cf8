/** Finds what a list of page indices names twice, at the cost of the list, not of the pool. */
export class RepeatFinder {
  /** All zero between calls. */
  readonly #seen: Uint8Array;

  /** `capacity` is the number of the pool's pages. */
  constructor(capacity: number) {
    this.#seen = new Uint8Array(capacity);
  }

  find(pages: Int32Array): number | undefined {
    const seen = this.#seen;
    let at = 0;
    while (at < pages.length && seen[pages[at]!] === 0) seen[pages[at++]!] = 1;
    for (let i = 0; i < at; i++) seen[pages[i]!] = 0;
    return pages[at];
  }
}
