import type { Device } from "./device.ts";
import { Memory } from "./memory.ts";

/** `cudaMalloc`: whole allocations, so that their base can be shared with other processes (see ipc.ts). */
export class DeviceMemory extends Memory {
  readonly device: Device;

  private constructor(device: Device, address: number, byteLength: number) {
    super(device.children, address, byteLength);
    this.device = device;
  }

  /** Internal: see {@link Device.allocate}. */
  static allocate(device: Device, byteLength: number): DeviceMemory {
    const { runtime } = device;
    device.select();
    runtime.call("cudaMalloc", runtime.out.address, byteLength);
    return new DeviceMemory(device, runtime.out.getAddress(0), byteLength);
  }

  protected override release(): void {
    this.device.free("cudaFree", this.releasedAddress);
  }
}
