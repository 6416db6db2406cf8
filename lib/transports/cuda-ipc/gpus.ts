import { CopyKernels, CudaRuntime, type Device } from "../../../cuda/index.ts";

/** The GPUs that one transport works with, and the copy kernels on them. */
export class Gpus {
  readonly runtime = CudaRuntime.open();
  readonly #kernels = new Map<number, CopyKernels | string>();

  device(ordinal: number): Device {
    return this.runtime.device(ordinal);
  }

  /** The copy kernels on a device, or why there are none: then copies are batched. */
  kernels(device: Device): CopyKernels | string {
    let kernels = this.#kernels.get(device.ordinal);
    if (kernels === undefined) {
      try {
        kernels = CopyKernels.load(device);
      } catch (error) {
        kernels = error instanceof Error ? error.message.split("\n")[0]! : String(error);
      }
      this.#kernels.set(device.ordinal, kernels);
    }
    return kernels;
  }

  close(): void {
    for (const kernels of this.#kernels.values()) if (typeof kernels !== "string") kernels.close();
    this.#kernels.clear();
  }
}
