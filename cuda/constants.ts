/** Numbers of `driver_types.h` and `cuda.h` (13.x; the same in 12.x). @module */

/** `cudaError` and, from 1 up, `CUresult`: the two agree on every number named here. */
export const Status = {
  success: 0,
  invalidValue: 1,
  memoryAllocation: 2,
  cudartUnloading: 4,
  insufficientDriver: 35,
  noDevice: 100,
  contextIsDestroyed: 709,
  notReady: 600,
  illegalAddress: 700,
  peerAccessAlreadyEnabled: 704,
  launchFailure: 719,
  notSupported: 801,
} as const;

/** `cudaDeviceAttr`; libcuda's `CUdevice_attribute` has the same numbers. */
export const DeviceAttribute = {
  multiProcessorCount: 16,
  asyncEngineCount: 40,
  computeCapabilityMajor: 75,
  computeCapabilityMinor: 76,
  gpuDirectRdmaWithVmmSupported: 110,
  gpuDirectRdmaSupported: 116,
  gpuDirectRdmaFlushWritesOptions: 117,
  gpuDirectRdmaWritesOrdering: 118,
  dmaBufSupported: 124,
  ipcEventSupported: 125,
  fabricHandleSupported: 128,
  hostNumaId: 134,
} as const;
export type DeviceAttribute = (typeof DeviceAttribute)[keyof typeof DeviceAttribute];

/** `cudaDeviceP2PAttr`. */
export const PeerAttribute = { performanceRank: 1, accessSupported: 2, nativeAtomicSupported: 3 } as const;
export type PeerAttribute = (typeof PeerAttribute)[keyof typeof PeerAttribute];

/** `CUpointer_attribute`. */
export const PointerAttribute = { legacyIpcCapable: 10, gpuDirectRdmaCapable: 15 } as const;
export type PointerAttribute = (typeof PointerAttribute)[keyof typeof PointerAttribute];

/** `CUfunction_attribute`. */
export const KernelAttribute = { localBytes: 3, registers: 4 } as const;
export type KernelAttribute = (typeof KernelAttribute)[keyof typeof KernelAttribute];

/** `cudaMemoryType`, by number. */
export const memoryTypes = ["unregistered", "host", "device", "managed"] as const;
export type MemoryType = (typeof memoryTypes)[number];

export const StreamFlag = { nonBlocking: 1 } as const;
export const EventFlag = { blockingSync: 1, disableTiming: 2, interprocess: 4 } as const;
export const HostAllocFlag = { portable: 1 } as const;
export const HostRegisterFlag = { portable: 1, mapped: 2, ioMemory: 4, readOnly: 8 } as const;
export const IpcMemFlag = { lazyEnablePeerAccess: 1 } as const;
/** `cudaMemcpyDefault`: the direction follows from the addresses. */
export const memcpyDefault = 4;
/** `cudaMemcpySrcAccessOrderStream`: sources are read in stream order. */
export const sourceAccessOrderStream = 1;
export const rangeHandleDmaBuf = 1;
export const dmaBufMappingPcie = 1;
/** Ends the `extra` list of `cuLaunchKernel`, and its two entries. */
export const LaunchParameter = { end: 0, bufferPointer: 1, bufferSize: 2 } as const;
