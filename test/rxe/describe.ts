import { describe } from "bun:test";
import { readdirSync } from "node:fs";

/** The names of this computer's RDMA devices, as in /sys/class/infiniband. */
export function rdmaDevices(): string[] {
  try {
    return readdirSync("/sys/class/infiniband").sort();
  } catch {
    return [];
  }
}

/** Tests that use the RDMA device of the computer that they run on; for `*.rdma.test.ts` files. Without one they skip. */
export function describeRdma(title: string, body: () => void): void {
  if (rdmaDevices().length > 0) describe(title, body);
  else describe.skip(`${title} (skipped: no RDMA device; bun run test:rxe has one)`, body);
}

/** Set by `bun run test:rxe` for the tests that boot machines themselves. */
export const twoHostsVariable = "KVWIRE_TWO_HOSTS";

/** Tests that run here and call `startMachines(2)`; for `*.two-hosts.test.ts` files. Outside of `test:rxe` they skip. */
export function describeTwoHosts(title: string, body: () => void): void {
  if (process.env[twoHostsVariable] === "1") describe(title, body);
  else describe.skip(`${title} (skipped: boots virtual machines; bun run test:rxe does)`, body);
}
