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
  /** Entry i: the tiles of the runs before run i; the last of runs + 1 entries: of all of them. See {@link tilesOf}. */
  readonly firstTile: Address;
  readonly runs: number;
  readonly tiles: number;
  readonly destinationBases: Address;
  readonly sourceBases: Address;
  readonly buffers: number;
}

/** What {@link CopyKernels.copyRows} reads of a table. */
export type RowTable = Omit<RunTable, "length" | "firstTile" | "tiles">;

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
/** Saturates NVLink, and PCIe all the more; the rest of the GPU stays with whoever computes. */
const blocksPerMultiprocessorFar = 1;
/** What a warp copies of a run before it looks for the next: small enough for the last ones to end together. */
const tileBytes = 8192;
const bytesPerLoad = 16;

/** The tiles into which a run of so many bytes is cut. */
export function tilesOf(byteLength: number): number {
  return Math.ceil(byteLength / tileBytes);
}

export interface RunLaunch {
  /** Bytes of the longest run: how many threads share a tile. */
  readonly longest: number;
  /** One side is behind a link (another GPU's memory, or the host's): a few threads are as fast as many. */
  readonly far?: boolean;
}

/** The kernels of `kernels/copy.cu` on one device. Submitted work is the caller's: tables must live until it has run. */
export class CopyKernels implements Disposable {
  readonly device: Device;
  readonly #module: Module;
  readonly #copyRuns: Kernel;
  readonly #copyRows: Kernel;
  readonly #checksumRuns: Kernel;
  readonly #multiprocessors: number;

  private constructor(device: Device, cubin: Uint8Array) {
    this.device = device;
    this.#module = device.loadModule(cubin);
    const table = ["u64", "u64", "u64", "u64", "u64", "u64", "u32", "u32"] as const;
    this.#copyRuns = this.#module.kernel("kvwire_copy_runs", [...table, "u32", "u32"]);
    this.#copyRows = this.#module.kernel("kvwire_copy_rows", [...table, "u32", "u32", "u64", "u64", "u64"]);
    this.#checksumRuns = this.#module.kernel("kvwire_checksum_runs", ["u64", "u64", "u32", "u64"]);
    this.#multiprocessors = device.attribute(DeviceAttribute.multiProcessorCount);
  }

  /** Compiles the kernels for the device, or takes them from the cache. @throws {LibraryNotFoundError} without NVRTC */
  static load(device: Device): CopyKernels {
    return new CopyKernels(device, cachedCubin(device.runtime.compiler, copyKernelSource, device.computeCapability));
  }

  copyRuns(stream: Stream, table: RunTable, { longest, far = false }: RunLaunch): void {
    if (table.tiles * table.buffers === 0) return;
    const lanes = lanesFor(longest);
    const grid = [this.#blocks(table.tiles * table.buffers * lanes, far), 1] as const;
    this.#copyRuns.launch(stream, { grid, block }, ...parametersOf(table), table.tiles, lanes);
  }

  copyRows(stream: Stream, table: RowTable, shape: RowShape, far = false): void {
    const { rows, rowBytes, destinationPitch, sourcePitch } = shape;
    const items = table.runs * table.buffers * rows;
    if (items === 0) return;
    const lanes = lanesFor(rowBytes);
    const grid = [this.#blocks(items * lanes, far), 1] as const;
    const row = [rows, lanes, rowBytes, destinationPitch, sourcePitch];
    this.#copyRows.launch(stream, { grid, block }, ...parametersOf(table), ...row);
  }

  /** Writes one 64-bit checksum per run to `result`; {@link checksum} computes the same on the processor. */
  checksumRuns(stream: Stream, address: Address, length: Address, count: number, result: Address): void {
    if (count === 0) return;
    const shape = { grid: [this.#blocks(count * block, false), 1], block } as const;
    this.#checksumRuns.launch(stream, shape, address, length, count, result);
  }

  close(): void {
    this.#module.close();
  }

  #blocks(threads: number, far: boolean): number {
    const most = this.#multiprocessors * (far ? blocksPerMultiprocessorFar : blocksPerMultiprocessor);
    return Math.min(Math.ceil(threads / block), most);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function parametersOf(table: RowTable & Partial<RunTable>): number[] {
  const { destination, source, length = 0, firstTile = 0, destinationBases, sourceBases, runs, buffers } = table;
  return [destination, source, length, firstTile, destinationBases, sourceBases, runs, buffers];
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
