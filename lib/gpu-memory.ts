import { CudaError, cudaIsLoaded, CudaRuntime, pointerAttributes } from "../cuda/index.ts";

let runtime: CudaRuntime | undefined;

/**
 * Ordinal of the GPU that `address` lies on; undefined for host memory. A process that has not loaded the CUDA driver has no
 * device memory, and is not made to.
 */
export function gpuOf(address: number): number | undefined {
  if (!cudaIsLoaded()) return undefined;
  try {
    runtime ??= CudaRuntime.open();
    const { type, device } = pointerAttributes(runtime, address);
    return type === "device" ? device : undefined;
  } catch (error) {
    if (error instanceof CudaError && error.kind === "CUDA_DRIVER_MISSING") return undefined;
    throw error;
  }
}
