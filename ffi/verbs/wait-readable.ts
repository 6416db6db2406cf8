import { PollSet } from "../libc/index.ts";

/** Blocks this thread until the descriptor is readable, true, or the time is over, false. */
export function waitReadable(fd: number, timeoutMs: number): boolean {
  const set = new PollSet();
  set.add(fd, true, false);
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = Math.max(0, Math.ceil(deadline - performance.now()));
    if (set.wait(left) > 0) return true;
    // A signal ends a wait early; only the clock ends it for good.
    if (performance.now() >= deadline) return false;
  }
}
