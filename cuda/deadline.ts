import { CudaUsageError } from "./errors.ts";

/** Short work is met without a sleep, long work does not cost a processor. */
const spinMs = 0.2;
const sleepMs = 0.1;

/** Blocks this thread until `ready()`. @throws {CudaUsageError} CUDA_DEADLINE after `timeoutMs` */
export function waitUntil(ready: () => boolean, timeoutMs: number, what: string): void {
  const start = performance.now();
  while (!ready()) {
    const waited = performance.now() - start;
    if (waited > timeoutMs) throw new CudaUsageError("CUDA_DEADLINE", `waited ${timeoutMs} ms for ${what}`);
    if (waited > spinMs) Bun.sleepSync(sleepMs);
  }
}
