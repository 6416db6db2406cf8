import { unsafeViewAt } from "../ffi/runtime/index.ts";
import { HostAllocFlag } from "./constants.ts";
import type { Device } from "./device.ts";
import { Memory } from "./memory.ts";

/**
 * `cudaHostAlloc`: host memory that every device of the process copies from and to at full speed. Its address is the same
 * for host and devices (unified addressing).
 */
export class PinnedMemory extends Memory {
  readonly device: Device;
  #storage: ArrayBuffer;

  private constructor(device: Device, address: number, byteLength: number) {
    super(device.children, address, byteLength);
    this.device = device;
    this.#storage = unsafeViewAt(address, byteLength);
  }

  /** Internal: see {@link Device.allocatePinned}. */
  static allocate(device: Device, byteLength: number): PinnedMemory {
    const { runtime } = device;
    device.select();
    runtime.call("cudaHostAlloc", runtime.out.address, byteLength, HostAllocFlag.portable);
    return new PinnedMemory(device, runtime.out.getAddress(0), byteLength);
  }

  /** The same bytes, for typed arrays. Detached when the memory is closed. */
  get buffer(): ArrayBuffer {
    this.assertOpen();
    return this.#storage;
  }

  override close(): void {
    // Moving the storage to a new buffer empties every view of the old one: late readers see nothing instead of freed memory.
    if (!this.closed) this.#storage = this.#storage.transfer();
    super.close();
  }

  protected override release(): void {
    this.device.free("cudaFreeHost", this.releasedAddress);
  }
}
