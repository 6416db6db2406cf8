/** How many tests passed, failed and were skipped. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const nothing: Tally = { passed: 0, failed: 0, skipped: 0 };

export function sum(tallies: readonly Tally[]): Tally {
  return tallies.reduce(
    (a, b) => ({
      passed: a.passed + b.passed,
      failed: a.failed + b.failed,
      skipped: a.skipped + b.skipped,
    }),
    nothing,
  );
}

export function describeTally({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** Follows the output of `bun test`, remembers its end, and reads the summary that stands there. */
export class SummaryReader {
  readonly #decoder = new TextDecoder();
  #end = "";

  push(chunk: Uint8Array): void {
    this.#end = (this.#end + this.#decoder.decode(chunk, { stream: true })).slice(-4096);
  }

  /**
   * The counts of the summary. A run that ended with `code` but counts no failure (it crashed, or a file could not be
   * loaded) has failed once.
   */
  tally(code: number): Tally {
    const text = Bun.stripANSI(this.#end);
    const count = (word: string): number => Number(text.match(new RegExp(`^ *(\\d+) ${word}$`, "m"))?.[1] ?? 0);
    const failed = count("fail");
    return { passed: count("pass"), failed: code === 0 ? failed : Math.max(1, failed), skipped: count("skip") };
  }
}
