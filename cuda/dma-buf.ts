import { closeSync } from "node:fs";
import { dmaBufMappingPcie, rangeHandleDmaBuf, Status } from "./constants.ts";
import type { Device } from "./device.ts";
import { CudaError } from "./errors.ts";
import { type AddressRange, allocationOf } from "./pointer-attributes.ts";
import { Resource } from "./resource.ts";

const hostPage = 4096;

/**
 * A file descriptor that a network card's driver takes for device memory (`ibv_reg_dmabuf_mr`): one descriptor serves several
 * cards, and the registration keeps the memory's pages when the descriptor is closed.
 */
export class DmaBuf extends Resource {
  readonly fd: number;
  /** What the descriptor stands for, whole host pages. */
  readonly range: AddressRange;

  private constructor(device: Device, fd: number, range: AddressRange) {
    super(device.children);
    this.fd = fd;
    this.range = range;
  }

  /**
   * Exports the allocation that `address` lies in. The mapping through PCIe is asked for first, because it does not take
   * BAR1 space twice; GPUs that do not know it (seen as 801) get the plain one.
   * @throws {CudaError} CUDA_NOT_SUPPORTED where driver or device cannot
   */
  static export(device: Device, address: number): DmaBuf {
    const { driver } = device.runtime;
    const allocation = allocationOf(device, address);
    const range = { base: allocation.base, byteLength: Math.ceil(allocation.byteLength / hostPage) * hostPage };
    const ask = (flags: number): void =>
      driver.call(
        "cuMemGetHandleForAddressRange",
        driver.out.address,
        range.base,
        range.byteLength,
        rangeHandleDmaBuf,
        flags,
      );
    try {
      ask(dmaBufMappingPcie);
    } catch (error) {
      if (!(
        error instanceof CudaError &&
        (error.status === Status.notSupported || error.status === Status.invalidValue)
      ))
        throw error;
      ask(0);
    }
    return new DmaBuf(device, driver.out.i32[0]!, range);
  }

  protected override release(): void {
    closeSync(this.fd);
  }
}
