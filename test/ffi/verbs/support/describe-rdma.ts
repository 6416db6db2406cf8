import { describe } from "bun:test";
import { Device } from "../../../../ffi/verbs/index.ts";

/** Tests that need a device; without one they skip and say so. */
export function describeRdma(title: string, body: () => void): void {
  if (Device.list().length > 0) describe(title, body);
  else describe.skip(`${title} (skipped: no RDMA device; bun run test:rxe has one)`, body);
}
