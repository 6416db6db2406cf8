import { describe } from "bun:test";
import { machinesVariable, rdmaDevices } from "./devices.ts";

/** Tests that use the RDMA device of the computer that they run on; for `*.rdma.test.ts` files. Without one they skip. */
export function describeRdma(title: string, body: () => void): void {
  if (rdmaDevices().length > 0) describe(title, body);
  else describe.skip(`${title} (skipped: no RDMA device; bun run test:rxe has one)`, body);
}

/** Tests that run here and call `startMachines`; for `*.machines.test.ts` files. Outside of `test:rxe` they skip. */
export function describeMachines(title: string, body: () => void): void {
  if (process.env[machinesVariable] === "1") describe(title, body);
  else describe.skip(`${title} (skipped: boots virtual machines; bun run test:rxe does)`, body);
}
