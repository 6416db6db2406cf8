/** Virtual machines with a soft-RoCE device, for tests and benchmarks. @module */
export { describeMachines, describeRdma } from "./describe.ts";
export { rdmaDevices } from "./devices.ts";
export { MachineError, MachineUnavailableError } from "./errors.ts";
export { type CommandResult, GuestProcess, type OutputListener } from "./guest-process.ts";
export { LineProcess } from "./line-process.ts";
export { Machine, type MachineOptions, type RunOptions, type SpawnOptions } from "./machine.ts";
export { Network, type NetworkOptions, startMachines } from "./network.ts";
