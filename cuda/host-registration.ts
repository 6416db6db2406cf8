import { HostRegisterFlag } from "./constants.ts";
import type { Device } from "./device.ts";
import { Memory } from "./memory.ts";

export interface HostRegistrationOptions {
  /** The mapping is read-only to the devices, as memory mapped without write permission must be. */
  readonly readOnly?: boolean;
}

/** `cudaHostRegister`: pins memory that is there already (a mapping, a memfd), for every device of the process. */
export class HostRegistration extends Memory {
  readonly device: Device;

  private constructor(device: Device, address: number, byteLength: number) {
    super(device.children, address, byteLength);
    this.device = device;
  }

  /** Internal: see {@link Device.registerHost}. The bytes must stay mapped until this is closed. */
  static register(
    device: Device,
    address: number,
    byteLength: number,
    { readOnly = false }: HostRegistrationOptions = {},
  ): HostRegistration {
    device.select();
    const flags = HostRegisterFlag.portable | (readOnly ? HostRegisterFlag.readOnly : 0);
    device.runtime.call("cudaHostRegister", address, byteLength, flags);
    return new HostRegistration(device, address, byteLength);
  }

  protected override release(): void {
    this.device.free("cudaHostUnregister", this.releasedAddress);
  }
}
