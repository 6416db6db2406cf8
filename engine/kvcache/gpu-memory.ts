import {
  copy,
  CudaRuntime,
  type Device,
  type DeviceMemory,
  fill,
  type PinnedMemory,
  type Stream,
} from "../../cuda/index.ts";
import type { ByteRange, PoolMemory, PoolRegion } from "./memory.ts";

/**
 * Device memory for a pool whose arithmetic is done on the processor: a correctness path, for having the whole workflow run
 * over transports between GPUs. The pages that travel are the device's; the processor has a pinned copy, brought up to date
 * from pages that have come and stored for pages that are to go.
 * @throws {LibraryNotFoundError | CudaError} where there is no such GPU
 */
export function gpuMemory(ordinal: number): PoolMemory {
  const device = CudaRuntime.open().device(ordinal);
  const stream = device.createStream();
  return { allocate: (byteLength) => new GpuRegion(device, stream, byteLength) };
}

class GpuRegion implements PoolRegion {
  readonly buffer: ArrayBuffer;
  readonly address: number;
  readonly #stream: Stream;
  readonly #host: PinnedMemory;
  readonly #memory: DeviceMemory;

  constructor(device: Device, stream: Stream, byteLength: number) {
    this.#stream = stream;
    this.#memory = device.allocate(byteLength);
    this.#host = device.allocatePinned(byteLength);
    this.buffer = this.#host.buffer;
    this.address = this.#memory.address;
    new Uint8Array(this.buffer).fill(0);
    fill(stream, this.#memory, 0);
    stream.synchronize();
  }

  store(ranges: Iterable<ByteRange>): void {
    for (const { offset, byteLength } of ranges) {
      copy(this.#stream, this.#memory.slice(offset, byteLength), this.#host.slice(offset, byteLength));
    }
    this.#stream.synchronize();
  }

  load(ranges: Iterable<ByteRange>): void {
    for (const { offset, byteLength } of ranges) {
      copy(this.#stream, this.#host.slice(offset, byteLength), this.#memory.slice(offset, byteLength));
    }
    this.#stream.synchronize();
  }

  close(): void {
    this.#memory.close();
    this.#host.close();
  }
}
