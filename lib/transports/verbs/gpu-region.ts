import { CudaError, CudaRuntime, DmaBuf } from "../../../cuda/index.ts";
import type { MemoryRegion, ProtectionDomain } from "../../../ffi/verbs/index.ts";
import type { Range } from "./regions.ts";

/** What registering needs of a protection domain. */
export type GpuRegistrar = Pick<ProtectionDomain, "registerDmaBuf" | "registerMemory">;

/**
 * Registers memory of a GPU: as a dma-buf where driver and device have it (Linux 5.12, CUDA 11.7), else by its address,
 * which the card's driver understands where nvidia-peermem is loaded.
 * @throws {VerbsError} where neither is there
 */
export function registerGpuMemory(
  domain: GpuRegistrar,
  { address, byteLength }: Range,
  gpu: number,
  access: number,
): MemoryRegion {
  const buffer = exportDmaBuf(gpu, address);
  if (buffer === undefined) return domain.registerMemory({ address, byteLength }, { access });
  try {
    const { base } = buffer.range;
    return domain.registerDmaBuf({ fd: buffer.fd, offset: address - base, byteLength }, { access, iova: address });
  } finally {
    // The registration holds the memory by itself.
    buffer.close();
  }
}

/** The PCI address of a GPU, where there is a runtime that knows it. */
export function pciAddressOfGpu(gpu: number): string | undefined {
  try {
    return CudaRuntime.open().device(gpu).pciBusId;
  } catch {
    return undefined;
  }
}

function exportDmaBuf(gpu: number, address: number): DmaBuf | undefined {
  try {
    return DmaBuf.export(CudaRuntime.open().device(gpu), address);
  } catch (error) {
    if (error instanceof CudaError && error.kind === "CUDA_NOT_SUPPORTED") return undefined;
    throw error;
  }
}
