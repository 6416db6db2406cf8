import { existsSync } from "node:fs";
import { DeviceAttribute, PeerAttribute } from "./constants.ts";
import type { Device } from "./device.ts";
import { CudaError } from "./errors.ts";
import { CudaRuntime, versionText } from "./runtime.ts";

export interface DeviceReport {
  readonly ordinal: number;
  readonly name: string;
  readonly pciBusId: string;
  /** -1 where the host does not say. */
  readonly numaNode: number;
  readonly computeCapability: number;
  readonly multiProcessors: number;
  readonly memory: { readonly free: number; readonly total: number };
  readonly gpuDirect: {
    readonly rdma: boolean;
    readonly dmaBuf: boolean;
    readonly ipcEvents: boolean;
    readonly fabricHandles: boolean;
  };
}

export interface HostReport {
  readonly runtime: { readonly path: string; readonly version: string };
  readonly driver: { readonly path: string; readonly version: string };
  /** Undefined: kernels cannot be compiled here, and copies go without them. */
  readonly compiler: { readonly path: string; readonly version: string } | undefined;
  readonly devices: readonly DeviceReport[];
  /** Row reads and writes column: 0 no, 1 yes; the link's performance rank where the driver tells, lower is faster. */
  readonly peers: readonly (readonly { readonly access: boolean; readonly rank: number | undefined }[])[];
  /** Whether the kernel module that lets network cards register device memory without dma-buf is loaded. */
  readonly nvidiaPeermem: boolean;
}

/**
 * Everything that decides how KV pages can leave the GPUs of this host.
 * @throws {LibraryNotFoundError} naming the paths tried, {CudaError} CUDA_DRIVER_MISSING or CUDA_NO_DEVICE
 */
export function describeHost(runtime: CudaRuntime = CudaRuntime.open()): HostReport {
  const devices = Array.from({ length: runtime.deviceCount() }, (_, ordinal) => runtime.device(ordinal));
  return {
    runtime: { path: runtime.path, version: versionText(runtime.version) },
    driver: { path: runtime.driver.path, version: versionText(runtime.driverVersion) },
    compiler: compilerOf(runtime),
    devices: devices.map(describeDevice),
    peers: devices.map((from) => devices.map((to) => ({ access: from.canAccess(to), rank: linkRank(from, to) }))),
    nvidiaPeermem: existsSync("/sys/module/nvidia_peermem"),
  };
}

function describeDevice(device: Device): DeviceReport {
  return {
    ordinal: device.ordinal,
    name: device.name,
    pciBusId: device.pciBusId,
    numaNode: device.numaNode,
    computeCapability: device.computeCapability,
    multiProcessors: device.attribute(DeviceAttribute.multiProcessorCount),
    memory: device.memory(),
    gpuDirect: {
      rdma: has(device, DeviceAttribute.gpuDirectRdmaSupported),
      dmaBuf: has(device, DeviceAttribute.dmaBufSupported),
      ipcEvents: has(device, DeviceAttribute.ipcEventSupported),
      fabricHandles: has(device, DeviceAttribute.fabricHandleSupported),
    },
  };
}

/** An attribute that this version of the runtime library does not know is one that the device does not have. */
function has(device: Device, attribute: DeviceAttribute): boolean {
  try {
    return device.attribute(attribute) !== 0;
  } catch (error) {
    if (error instanceof CudaError) return false;
    throw error;
  }
}

function linkRank(from: Device, to: Device): number | undefined {
  return from === to ? undefined : from.peerAttribute(PeerAttribute.performanceRank, to);
}

function compilerOf(runtime: CudaRuntime): HostReport["compiler"] {
  try {
    const { path, version } = runtime.compiler;
    return { path, version };
  } catch {
    return undefined;
  }
}
