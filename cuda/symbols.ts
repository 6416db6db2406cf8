/**
 * The C functions that are called, in the order of their headers (`cuda_runtime_api.h`, `cuda.h`, `nvrtc.h`; 12.0 to 13.x).
 * Every function answers a status, 0 for success, unless its result says otherwise.
 * @module
 */
import type { NativeType, Signature, SymbolTable } from "../ffi/runtime/index.ts";

const status = <const P extends readonly NativeType[]>(...parameters: P) => ({ parameters, result: "i32" }) as const;

export const runtimeSymbols = {
  cudaDeviceGetAttribute: status("pointer", "i32", "i32"),
  cudaDeviceGetByPCIBusId: status("pointer", "cstring"),
  cudaDeviceGetPCIBusId: status("pointer", "i32", "i32"),
  cudaIpcGetEventHandle: status("pointer", "pointer"),
  cudaIpcGetMemHandle: status("pointer", "pointer"),
  cudaIpcCloseMemHandle: status("pointer"),
  cudaGetLastError: status(),
  cudaGetErrorName: { parameters: ["i32"], result: "pointer" },
  cudaGetErrorString: { parameters: ["i32"], result: "pointer" },
  cudaGetDeviceCount: status("pointer"),
  cudaDeviceGetP2PAttribute: status("pointer", "i32", "i32", "i32"),
  cudaSetDevice: status("i32"),
  cudaStreamCreateWithFlags: status("pointer", "u32"),
  cudaStreamDestroy: status("pointer"),
  cudaStreamWaitEvent: status("pointer", "pointer", "u32"),
  cudaStreamQuery: status("pointer"),
  cudaEventCreateWithFlags: status("pointer", "u32"),
  cudaEventRecord: status("pointer", "pointer"),
  cudaEventQuery: status("pointer"),
  cudaEventDestroy: status("pointer"),
  cudaEventElapsedTime: status("pointer", "pointer", "pointer"),
  cudaMalloc: status("pointer", "usize"),
  cudaFree: status("pointer"),
  cudaHostAlloc: status("pointer", "usize", "u32"),
  cudaFreeHost: status("pointer"),
  cudaHostRegister: status("pointer", "usize", "u32"),
  cudaHostUnregister: status("pointer"),
  cudaMemGetInfo: status("pointer", "pointer"),
  cudaMemcpyAsync: status("pointer", "pointer", "usize", "i32", "pointer"),
  cudaMemcpyPeerAsync: status("pointer", "i32", "pointer", "i32", "usize", "pointer"),
  cudaMemsetAsync: status("pointer", "i32", "usize", "pointer"),
  cudaPointerGetAttributes: status("pointer", "pointer"),
  cudaDeviceCanAccessPeer: status("pointer", "i32", "i32"),
  cudaDeviceEnablePeerAccess: status("i32", "u32"),
  cudaDeviceDisablePeerAccess: status("i32"),
  cudaDriverGetVersion: status("pointer"),
  cudaRuntimeGetVersion: status("pointer"),
} satisfies SymbolTable;

/**
 * `cudaIpcMemHandle_t` and `cudaIpcEventHandle_t` are structures of 64 bytes, passed by value. AAPCS64 (aarch64) passes the address of
 * a copy. System V x86-64 puts the bytes on the stack, behind the register arguments: integers that use up what is left of the
 * six registers bring eight words to where the callee looks for them.
 */
export const passesHandlesByPointer = process.arch === "arm64";
const handleWords = ["u64", "u64", "u64", "u64", "u64", "u64", "u64", "u64"] as const;
type IpcOpen = Signature & { readonly result: "i32" };
export const ipcSymbols: Record<"cudaIpcOpenMemHandle" | "cudaIpcOpenEventHandle", IpcOpen> = passesHandlesByPointer
  ? {
      cudaIpcOpenMemHandle: status("pointer", "pointer", "u32"),
      cudaIpcOpenEventHandle: status("pointer", "pointer"),
    }
  : {
      /** (address*, flags, 4 words of padding, handle). */
      cudaIpcOpenMemHandle: status("pointer", "u32", "u64", "u64", "u64", "u64", ...handleWords),
      /** (event*, 5 words of padding, handle). */
      cudaIpcOpenEventHandle: status("pointer", "u64", "u64", "u64", "u64", "u64", ...handleWords),
    };

/** From 13.0: (destinations, sources, sizes, count, attributes, their first indices, how many, stream). */
export const batchSymbols13 = {
  cudaMemcpyBatchAsync: status("pointer", "pointer", "pointer", "usize", "pointer", "pointer", "usize", "pointer"),
} satisfies SymbolTable;

/** 12.8 and 12.9: the same name with a pointer for the failing index before the stream. */
export const batchSymbols12 = {
  cudaMemcpyBatchAsync: status(
    "pointer",
    "pointer",
    "pointer",
    "usize",
    "pointer",
    "pointer",
    "usize",
    "pointer",
    "pointer",
  ),
} satisfies SymbolTable;

/** libcuda: what the runtime library has no call for. A context must be current, which `cudaSetDevice` sees to. */
export const driverSymbols = {
  cuGetErrorName: status("i32", "pointer"),
  cuGetErrorString: status("i32", "pointer"),
  cuInit: status("u32"),
  cuDriverGetVersion: status("pointer"),
  cuDeviceGetName: status("pointer", "i32", "i32"),
  cuModuleLoadData: status("pointer", "pointer"),
  cuModuleUnload: status("pointer"),
  cuModuleGetFunction: status("pointer", "pointer", "cstring"),
  cuMemGetAddressRange_v2: status("pointer", "pointer", "pointer"),
  cuMemGetHandleForAddressRange: status("pointer", "pointer", "usize", "i32", "u64"),
  cuPointerGetAttribute: status("pointer", "i32", "pointer"),
  cuFuncGetAttribute: status("pointer", "i32", "pointer"),
  /** (function, grid x y z, block x y z, shared bytes, stream, parameters, extra). */
  cuLaunchKernel: status("pointer", "u32", "u32", "u32", "u32", "u32", "u32", "u32", "pointer", "pointer", "pointer"),
} satisfies SymbolTable;

export const nvrtcSymbols = {
  nvrtcGetErrorString: { parameters: ["i32"], result: "pointer" },
  nvrtcVersion: status("pointer", "pointer"),
  nvrtcGetNumSupportedArchs: status("pointer"),
  nvrtcGetSupportedArchs: status("pointer"),
  nvrtcCreateProgram: status("pointer", "cstring", "cstring", "i32", "pointer", "pointer"),
  nvrtcDestroyProgram: status("pointer"),
  nvrtcCompileProgram: status("pointer", "i32", "pointer"),
  nvrtcGetCUBINSize: status("pointer", "pointer"),
  nvrtcGetCUBIN: status("pointer", "pointer"),
  nvrtcGetProgramLogSize: status("pointer", "pointer"),
  nvrtcGetProgramLog: status("pointer", "pointer"),
} satisfies SymbolTable;
