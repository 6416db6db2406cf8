/** Milliseconds, monotonic within a thread and the same on every thread of a process, whose `performance.now()` differ. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
