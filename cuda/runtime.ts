import { type NativeFunctions, NativeBuffer, openLibrary, unsafeReadCString } from "../ffi/runtime/index.ts";
import { Status } from "./constants.ts";
import { Device } from "./device.ts";
import { CudaDriver } from "./driver.ts";
import { CudaDriverMissingError, CudaError, CudaUsageError } from "./errors.ts";
import { candidates, cudart, type LibraryPaths } from "./library.ts";
import { Nvrtc } from "./nvrtc.ts";
import { StatusApi } from "./status-api.ts";
import { batchSymbols12, batchSymbols13, ipcSymbols, runtimeSymbols } from "./symbols.ts";

const symbols = { ...runtimeSymbols, ...ipcSymbols };

export type BatchCopy =
  | { readonly major: 13; readonly function: NativeFunctions<typeof batchSymbols13>["cudaMemcpyBatchAsync"] }
  | { readonly major: 12; readonly function: NativeFunctions<typeof batchSymbols12>["cudaMemcpyBatchAsync"] };

/** libcudart, loaded. One per thread is enough: devices, addresses and handles mean the same in all of them. */
export class CudaRuntime extends StatusApi<typeof symbols> {
  /** The file that was loaded. */
  readonly path: string;
  /** Of the library, 1000 × major + 10 × minor: 13020 is 13.2. */
  readonly version: number;
  /** Newest CUDA that the driver serves, 0 without a driver. */
  readonly driverVersion: number;
  /** `cudaMemcpyBatchAsync` in the form of this version; undefined before 12.8. */
  readonly batchCopy: BatchCopy | undefined;
  /** Out parameters of the call at hand. */
  readonly out = NativeBuffer.allocate(128);
  readonly #devices = new Map<number, Device>();
  readonly #paths: LibraryPaths;
  #driver: CudaDriver | undefined;
  #compiler: Nvrtc | undefined;

  private constructor(path: string, functions: NativeFunctions<typeof symbols>, paths: LibraryPaths) {
    super(functions, (call, status) => this.#failure(call, status));
    this.path = path;
    this.#paths = paths;
    this.call("cudaRuntimeGetVersion", this.out.address);
    this.version = this.out.i32[0]!;
    this.call("cudaDriverGetVersion", this.out.address);
    this.driverVersion = this.out.i32[0]!;
    this.batchCopy = findBatchCopy(path, this.version);
  }

  /**
   * Loads `paths.cudart`, or the best of the places where libcudart is kept. A runtime library of a newer major version than the
   * driver answers no call, so where a driver is installed, its major version is tried first.
   * @throws {LibraryNotFoundError} naming every path tried
   */
  static open(paths: LibraryPaths = {}): CudaRuntime {
    const library = openLibrary({
      name: cudart.name,
      candidates: paths.cudart === undefined ? candidates(cudart, preferredMajors(paths)) : [paths.cudart],
      symbols,
      hint: "Install the CUDA toolkit or the PyPI wheel nvidia-cuda-runtime; KVWIRE_CUDART names another file.",
    });
    return new CudaRuntime(library.path, library.symbols, paths);
  }

  /** @throws {LibraryNotFoundError} without a driver */
  get driver(): CudaDriver {
    return (this.#driver ??= CudaDriver.open(this.#paths.libcuda));
  }

  /** @throws {LibraryNotFoundError} where NVRTC is not installed */
  get compiler(): Nvrtc {
    return (this.#compiler ??= Nvrtc.open(this.version < 13_000 ? [12] : [13, 12], this.#paths.nvrtc));
  }

  /** @throws {CudaDriverMissingError} without a driver, {CudaError} CUDA_NO_DEVICE without a GPU */
  deviceCount(): number {
    this.call("cudaGetDeviceCount", this.out.address);
    return this.out.i32[0]!;
  }

  /** @param ordinal as `CUDA_VISIBLE_DEVICES` numbers them, from 0 */
  device(ordinal: number): Device {
    const count = this.deviceCount();
    if (!Number.isInteger(ordinal) || ordinal < 0 || ordinal >= count) {
      throw new CudaUsageError("CUDA_BAD_ARGUMENT", `device ${ordinal} is not there; there are ${count}`);
    }
    let device = this.#devices.get(ordinal);
    if (device === undefined || device.closed) this.#devices.set(ordinal, (device = Device.of(this, ordinal)));
    return device;
  }

  /** The device at a PCI address, `0000:17:00.0`: what names a GPU in every process of a host. */
  deviceAt(pciBusId: string): Device {
    this.call("cudaDeviceGetByPCIBusId", this.out.address, pciBusId);
    return this.device(this.out.i32[0]!);
  }

  #failure(call: string, status: number): CudaError {
    const { cudaGetErrorName, cudaGetErrorString, cudaGetLastError } = this.functions;
    cudaGetLastError();
    const failure = {
      call,
      status,
      statusName: unsafeReadCString(cudaGetErrorName(status)),
      text: unsafeReadCString(cudaGetErrorString(status)),
    };
    if (status !== Status.insufficientDriver) return new CudaError(failure);
    const runtime = `The runtime library ${this.path} is for CUDA ${versionText(this.version)}`;
    if (this.driverVersion > 0) {
      return new CudaDriverMissingError(failure, `${runtime}, the driver for ${versionText(this.driverVersion)}`);
    }
    try {
      return new CudaDriverMissingError(failure, `${runtime}; ${this.driver.path} is no driver for it`);
    } catch (cause) {
      return new CudaDriverMissingError(failure, `${runtime}; ${(cause as Error).message}`, cause);
    }
  }
}

/** 13020 → "13.2". */
export function versionText(version: number): string {
  return `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
}

function preferredMajors({ libcuda }: LibraryPaths): number[] {
  try {
    return CudaDriver.open(libcuda).version < 13_000 ? [12, 13] : [13, 12];
  } catch {
    return [13, 12];
  }
}

function findBatchCopy(path: string, version: number): BatchCopy | undefined {
  const { cudaRuntimeGetVersion } = runtimeSymbols;
  const probe = { name: cudart.name, candidates: [path], symbols: { cudaRuntimeGetVersion } };
  if (version >= 13_000) {
    const found = openLibrary({ ...probe, optional: batchSymbols13 }).optional.cudaMemcpyBatchAsync;
    return found && { major: 13, function: found };
  }
  const found = openLibrary({ ...probe, optional: batchSymbols12 }).optional.cudaMemcpyBatchAsync;
  return found && { major: 12, function: found };
}
