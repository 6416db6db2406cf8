import { describe } from "bun:test";
import { readdirSync } from "node:fs";

function devices(): string[] {
  try {
    return readdirSync("/sys/class/infiniband");
  } catch {
    return [];
  }
}

/** Tests that need a device; without one they skip and say so. The kernel is asked, not the library that is tested. */
export function describeRdma(title: string, body: () => void): void {
  if (devices().length > 0) describe(title, body);
  else describe.skip(`${title} (skipped: no RDMA device; bun run test:rxe has one)`, body);
}
