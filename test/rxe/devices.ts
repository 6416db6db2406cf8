import { readdirSync } from "node:fs";

/** The names of this computer's RDMA devices, as in /sys/class/infiniband. */
export function rdmaDevices(): string[] {
  try {
    return readdirSync("/sys/class/infiniband").sort();
  } catch {
    return [];
  }
}

/** Set to 1 by `bun run test:rxe` for the tests that boot machines themselves. */
export const machinesVariable = "KVWIRE_MACHINES";
