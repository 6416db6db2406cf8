import { type Address, NativeBuffer } from "../ffi/runtime/index.ts";
import { IpcMemFlag } from "./constants.ts";
import type { Device } from "./device.ts";
import { CudaUsageError } from "./errors.ts";
import { Event } from "./event.ts";
import { ipcEventHandle, ipcMemoryHandle } from "./layouts.ts";
import { Memory } from "./memory.ts";
import { allocationOf } from "./pointer-attributes.ts";
import { passesHandlesByPointer } from "./symbols.ts";

/** What another process of the host needs to open device memory. */
export interface ExportedMemory {
  /** `cudaIpcMemHandle_t`, 64 bytes: names the whole allocation. */
  readonly handle: Uint8Array;
  /** Where the exported address lies in the allocation. */
  readonly offset: number;
  /** Bytes of the whole allocation. */
  readonly byteLength: number;
}

/**
 * Exports the `cudaMalloc` allocation on `device` that `address` lies in. Memory of the virtual memory API (expandable segments, memory
 * pools) cannot be exported this way. The allocation must live until every process has closed its mapping. The driver cuts allocations of less than 2 MiB out of
 * a larger block, and it is the block that peers get to map.
 */
export function exportMemory(device: Device, address: Address): ExportedMemory {
  const { runtime } = device;
  const { base, byteLength } = allocationOf(device, address);
  runtime.call("cudaIpcGetMemHandle", runtime.out.address, base);
  return { handle: runtime.out.bytes.slice(0, ipcMemoryHandle.byteLength), offset: address - base, byteLength };
}

/** Another process's allocation, mapped here. Opening one handle twice gives one mapping with a count in the driver. */
export class PeerMemory extends Memory {
  readonly device: Device;

  private constructor(device: Device, address: Address, byteLength: number) {
    super(device.children, address, byteLength);
    this.device = device;
  }

  /**
   * Maps the whole allocation. A process cannot open what it exported itself.
   * @param device Where the allocation is, or a device with peer access to it.
   */
  static open(device: Device, { handle, byteLength }: Pick<ExportedMemory, "handle" | "byteLength">): PeerMemory {
    const { runtime } = device;
    device.select();
    const { cudaIpcOpenMemHandle } = runtime.functions;
    const { out } = runtime;
    const { lazyEnablePeerAccess } = IpcMemFlag;
    const status = withHandle(handle, ipcMemoryHandle.byteLength, (address, words) =>
      passesHandlesByPointer
        ? cudaIpcOpenMemHandle(out.address, address, lazyEnablePeerAccess)
        : cudaIpcOpenMemHandle(out.address, lazyEnablePeerAccess, 0n, 0n, 0n, 0n, ...words),
    );
    runtime.check("cudaIpcOpenMemHandle", status);
    return new PeerMemory(device, out.getAddress(0), byteLength);
  }

  protected override release(): void {
    this.device.free("cudaIpcCloseMemHandle", this.releasedAddress);
  }
}

/** `cudaIpcEventHandle_t`, 64 bytes, of an event made with `interprocess`. */
export function exportEvent(event: Event): Uint8Array {
  const { runtime } = event.device;
  runtime.call("cudaIpcGetEventHandle", runtime.out.address, event.unsafeHandle);
  return runtime.out.bytes.slice(0, ipcEventHandle.byteLength);
}

/** Another process's event: it can be waited for, queried and recorded here. */
export function openEvent(device: Device, handle: Uint8Array): Event {
  const { runtime } = device;
  device.select();
  const { cudaIpcOpenEventHandle } = runtime.functions;
  const { out } = runtime;
  const status = withHandle(handle, ipcEventHandle.byteLength, (address, words) =>
    passesHandlesByPointer
      ? cudaIpcOpenEventHandle(out.address, address)
      : cudaIpcOpenEventHandle(out.address, 0n, 0n, 0n, 0n, 0n, ...words),
  );
  runtime.check("cudaIpcOpenEventHandle", status);
  return Event.adopt(device, out.getAddress(0));
}

/** Calls with the handle both ways in which C may want it: by address, and as words to be passed by value. */
function withHandle<T>(handle: Uint8Array, byteLength: number, call: (address: Address, words: bigint[]) => T): T {
  if (handle.byteLength !== byteLength) {
    throw new CudaUsageError("CUDA_BAD_ARGUMENT", `an IPC handle has ${byteLength} bytes, came ${handle.byteLength}`);
  }
  const copy = NativeBuffer.allocate(byteLength);
  copy.bytes.set(handle);
  return call(
    copy.address,
    Array.from({ length: byteLength / 8 }, (_, word) => copy.view.getBigUint64(word * 8, true)),
  );
}
