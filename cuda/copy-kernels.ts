import { readFileSync } from "node:fs";
import type { Address } from "../ffi/runtime/index.ts";
import { DeviceAttribute } from "./constants.ts";
import type { Device } from "./device.ts";
import { CudaUsageError } from "./errors.ts";
import type { Kernel, Module } from "./module.ts";
import { cachedCubin, type KernelSource } from "./nvrtc.ts";
import type { Stream } from "./stream.ts";

export const copyKernelSource: KernelSource = {
  name: "copy.cu",
  text: readFileSync(new URL("kernels/copy.cu", import.meta.url), "utf8"),
};

/**
 * Runs to copy, as arrays of doubles that the device can read: run i of buffer b is `length[i]` bytes from
 * `sourceBases[b] + source[i]` to `destinationBases[b] + destination[i]`: device memory, peers' mapped memory or pinned host
 * memory.
 */
export interface RunTable {
  readonly destination: Address;
  readonly source: Address;
  readonly length: Address;
  readonly runs: number;
  readonly destinationBases: Address;
  readonly sourceBases: Address;
  readonly buffers: number;
}

/** Every run of a table begins a block of rows: the heads that two tensor-parallel ranks share of every token of a page. */
export interface RowShape {
  readonly rows: number;
  readonly rowBytes: number;
  readonly destinationPitch: number;
  readonly sourcePitch: number;
}

const block = 256;
/** Enough blocks to fill every multiprocessor twice over with 2,048 threads. */
const blocksPerMultiprocessor = 16;
/** What a warp copies of a run before it looks for the next: small enough for the last ones to end together. */
const tileBytes = 8192;
const bytesPerLoad = 16;

/** The kernels of `kernels/copy.cu` on one device. Submitted work is the caller's: tables must live until it has run. */
export class CopyKernels implements Disposable {
  readonly device: Device;
  readonly #module: Module;
  readonly #copyRuns: Kernel;
  readonly #copyRows: Kernel;
  readonly #checksumRuns: Kernel;
  readonly #maxBlocks: number;

  private constructor(device: Device, cubin: Uint8Array) {
    this.device = device;
    this.#module = device.loadModule(cubin);
    const table = ["u64", "u64", "u64", "u64", "u64", "u32", "u32"] as const;
    this.#copyRuns = this.#module.kernel("kvwire_copy_runs", [...table, "u32", "u32"]);
    this.#copyRows = this.#module.kernel("kvwire_copy_rows", [...table, "u32", "u32", "u64", "u64", "u64"]);
    this.#checksumRuns = this.#module.kernel("kvwire_checksum_runs", ["u64", "u64", "u32", "u64"]);
    this.#maxBlocks = blocksPerMultiprocessor * device.attribute(DeviceAttribute.multiProcessorCount);
  }

  /** Compiles the kernels for the device, or takes them from the cache. @throws {LibraryNotFoundError} without NVRTC */
  static load(device: Device): CopyKernels {
    return new CopyKernels(device, cachedCubin(device.runtime.compiler, copyKernelSource, device.computeCapability));
  }

  /** @param longest bytes of the longest run, which decides how runs are cut among the threads */
  copyRuns(stream: Stream, table: RunTable, longest: number): void {
    const items = table.runs * table.buffers;
    if (items === 0) return;
    const lanes = lanesFor(longest);
    const columns = Math.min(Math.ceil((items * lanes) / block), this.#maxBlocks);
    const tiles = Math.min(Math.ceil(longest / tileBytes), Math.max(1, Math.floor(this.#maxBlocks / columns)));
    this.#copyRuns.launch(stream, { grid: [columns, tiles], block }, ...parametersOf(table), lanes, tileBytes);
  }

  copyRows(stream: Stream, table: RunTable, { rows, rowBytes, destinationPitch, sourcePitch }: RowShape): void {
    const items = table.runs * table.buffers * rows;
    if (items === 0) return;
    const lanes = lanesFor(rowBytes);
    const grid = [Math.min(Math.ceil((items * lanes) / block), this.#maxBlocks), 1] as const;
    const row = [rows, lanes, rowBytes, destinationPitch, sourcePitch];
    this.#copyRows.launch(stream, { grid, block }, ...parametersOf(table), ...row);
  }

  /** Writes one 64-bit checksum per run to `result`; {@link checksum} computes the same on the processor. */
  checksumRuns(stream: Stream, address: Address, length: Address, count: number, result: Address): void {
    if (count === 0) return;
    const shape = { grid: [Math.min(count, this.#maxBlocks), 1], block } as const;
    this.#checksumRuns.launch(stream, shape, address, length, count, result);
  }

  close(): void {
    this.#module.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function parametersOf(table: RunTable): number[] {
  const { destination, source, length, destinationBases, sourceBases, runs, buffers } = table;
  return [destination, source, length, destinationBases, sourceBases, runs, buffers];
}

/** Threads that share a run: as many as have a load to make, at most a warp. */
function lanesFor(bytes: number): number {
  if (!(bytes > 0)) throw new CudaUsageError("CUDA_BAD_ARGUMENT", `a run of ${bytes} bytes cannot be copied`);
  return Math.min(32, 2 ** Math.ceil(Math.log2(Math.max(1, bytes / bytesPerLoad))));
}

const mask = (1n << 64n) - 1n;

/** What `kvwire_checksum_runs` computes for one run. Slow: for tests and small ranges. */
export function checksum(bytes: Uint8Array): bigint {
  let sum = 0n;
  for (let place = 0; place < bytes.length; place++) {
    let z = (BigInt(place * 256 + bytes[place]!) + 0x9e3779b97f4a7c15n) & mask;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    sum = (sum + (z ^ (z >> 31n))) & mask;
  }
  return sum;
}
