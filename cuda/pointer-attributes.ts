import type { Address } from "../ffi/runtime/index.ts";
import { memoryTypes, type MemoryType, type PointerAttribute } from "./constants.ts";
import { pointerAttributes as layout } from "./layouts.ts";
import type { Device } from "./device.ts";
import type { CudaRuntime } from "./runtime.ts";

export interface PointerAttributes {
  /** `unregistered` is ordinary host memory that CUDA knows nothing of. */
  readonly type: MemoryType;
  /** Ordinal of the device that the memory is on, or was pinned through; -1 or -2 for unregistered memory. */
  readonly device: number;
  readonly devicePointer: Address;
  readonly hostPointer: Address;
}

/** What stands at an address: `cudaPointerGetAttributes`. */
export function pointerAttributes(runtime: CudaRuntime, address: Address): PointerAttributes {
  const { out } = runtime;
  out.bytes.fill(0);
  runtime.call("cudaPointerGetAttributes", out.address, address);
  const { type, device, devicePointer, hostPointer } = layout.fields;
  return {
    type: memoryTypes[out.view.getInt32(type[0], true)] ?? "unregistered",
    device: out.view.getInt32(device[0], true),
    devicePointer: out.getAddress(devicePointer[0]),
    hostPointer: out.getAddress(hostPointer[0]),
  };
}

export interface AddressRange {
  readonly base: Address;
  readonly byteLength: number;
}

/** The whole allocation on `device` that an address lies in: `cuMemGetAddressRange`. */
export function allocationOf(device: Device, address: Address): AddressRange {
  const { driver } = device.runtime;
  device.select();
  driver.call("cuMemGetAddressRange_v2", driver.out.address, driver.out.address + 8, address);
  return { base: driver.out.getAddress(0), byteLength: driver.out.getAddress(8) };
}

/** `cuPointerGetAttribute`, for attributes that are yes or no, of an address on `device`. */
export function pointerIs(device: Device, attribute: PointerAttribute, address: Address): boolean {
  const { driver } = device.runtime;
  device.select();
  driver.out.bytes.fill(0);
  driver.call("cuPointerGetAttribute", driver.out.address, attribute, address);
  return driver.out.u32[0] !== 0;
}
