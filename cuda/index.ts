/** libcudart, libcuda and NVRTC from TypeScript. @module */
export {
  DeviceAttribute,
  EventFlag,
  HostRegisterFlag,
  KernelAttribute,
  type MemoryType,
  PeerAttribute,
  PointerAttribute,
  Status,
} from "./constants.ts";
export {
  checksum,
  CopyKernels,
  copyKernelSource,
  type RowShape,
  type RowTable,
  type RunLaunch,
  type RunTable,
  tilesOf,
} from "./copy-kernels.ts";
export { Device } from "./device.ts";
export { DeviceMemory } from "./device-memory.ts";
export { DmaBuf } from "./dma-buf.ts";
export { CudaDriver } from "./driver.ts";
export {
  CompileError,
  CudaDriverMissingError,
  CudaError,
  type CudaErrorKind,
  type CudaFailure,
  CudaUsageError,
} from "./errors.ts";
export { Event, type EventOptions } from "./event.ts";
export { HostRegistration, type HostRegistrationOptions } from "./host-registration.ts";
export { describeHost, type DeviceReport, type HostReport } from "./info.ts";
export { type ExportedMemory, exportEvent, exportMemory, openEvent, PeerMemory } from "./ipc.ts";
export {
  cacheFolder,
  candidates,
  cudart,
  type CudaLibrary,
  libcuda,
  type LibraryPaths,
  nvrtc,
  wheelCache,
} from "./library.ts";
export { copy, CopyBatch, copyPeer, fill } from "./memcpy.ts";
export { Memory, type Span, unsafeSpan } from "./memory.ts";
export { Kernel, type KernelParameter, type LaunchShape, Module } from "./module.ts";
export { cachedCubin, type Compiled, type KernelSource, Nvrtc } from "./nvrtc.ts";
export { PinnedMemory } from "./pinned-memory.ts";
export {
  type AddressRange,
  allocationOf,
  type PointerAttributes,
  pointerAttributes,
  pointerIs,
} from "./pointer-attributes.ts";
export { Children, Resource, type WorkOrder } from "./resource.ts";
export { cudaIsLoaded } from "./presence.ts";
export { CudaRuntime, versionText } from "./runtime.ts";
export { Stream } from "./stream.ts";
