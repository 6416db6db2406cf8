import { describe, test } from "bun:test";
import { machinesVariable, rdmaDevices } from "./devices.ts";

/**
 * Tests that use the RDMA device of the computer that they run on; for `*.rdma.test.ts` files. Without a device they are
 * one skipped test and `body` is not called.
 */
export function describeRdma(title: string, body: () => void): void {
  if (rdmaDevices().length > 0) describe(title, body);
  else test.skip(`${title}: no RDMA device here; bun run test:rxe has one`, () => {});
}

/** Tests that run here and boot machines; for `*.machines.test.ts` files. Outside of `test:rxe` they are one skipped test. */
export function describeMachines(title: string, body: () => void): void {
  if (process.env[machinesVariable] === "1") describe(title, body);
  else test.skip(`${title}: boots virtual machines; bun run test:rxe does`, () => {});
}
