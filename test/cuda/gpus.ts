import { CudaRuntime } from "../../cuda/index.ts";

const found = ((): { readonly count: number; readonly missing: string } => {
  try {
    return { count: CudaRuntime.open().deviceCount(), missing: "" };
  } catch (error) {
    return { count: 0, missing: (error as Error).message.split(".")[0]! };
  }
})();

/** GPUs of this machine that NVIDIA's own libraries see. */
export const gpuCount = found.count;
/** Why tests on real GPUs must be skipped. */
export const noGpu = found.missing;
