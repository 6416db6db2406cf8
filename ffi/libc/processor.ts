import { libc } from "./library.ts";

/**
 * Lets whoever else waits for this processor run first: sched_yield(2). A thread that spins for an answer from one that
 * shares its processor would otherwise keep it from answering.
 */
export function yieldProcessor(): void {
  libc.sched_yield();
}
