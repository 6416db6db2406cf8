import { CopyKernels, CudaRuntime, type Device } from "../../../cuda/index.ts";
import { LibraryNotFoundError } from "../../../ffi/runtime/index.ts";

/** A GPU that copies, and its kernels where there are any. */
export interface CopySide {
  readonly device: Device;
  readonly kernels: CopyKernels | undefined;
}

/** The GPUs that one transport works with, and the copy kernels on them. */
export class Gpus {
  readonly runtime = CudaRuntime.open();
  readonly #kernels = new Map<number, CopyKernels | undefined>();

  device(ordinal: number): Device {
    return this.runtime.device(ordinal);
  }

  side(device: Device): CopySide {
    return { device, kernels: this.kernels(device) };
  }

  /** The copy kernels on a device; undefined where NVRTC is missing: then copies are batched. */
  kernels(device: Device): CopyKernels | undefined {
    if (!this.#kernels.has(device.ordinal)) this.#kernels.set(device.ordinal, load(device));
    return this.#kernels.get(device.ordinal);
  }

  close(): void {
    for (const kernels of this.#kernels.values()) kernels?.close();
    this.#kernels.clear();
  }
}

function load(device: Device): CopyKernels | undefined {
  try {
    return CopyKernels.load(device);
  } catch (error) {
    if (error instanceof LibraryNotFoundError) return undefined;
    throw error;
  }
}
