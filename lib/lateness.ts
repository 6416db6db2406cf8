/** So much is any thread late at times. */
const LATE_MS = 50;

/**
 * For how many milliseconds a loop that last ran at `lastAt` should have run by `at`, but did not: it was stopped, or got no
 * processor. It must then hear what has come since before it judges anybody's silence.
 */
export function lateness(loop: { readonly wakeAt: number }, lastAt: number, at: number): number {
  if (at - lastAt <= LATE_MS) return 0;
  const late = at - Math.max(lastAt, loop.wakeAt);
  return late > LATE_MS ? late : 0;
}
