import { copy, type Device, type ExportedMemory, exportMemory } from "../../../cuda/index.ts";
import type { ExposedMemory, Place, Scratch } from "../host/index.ts";
import type { RegisteredBuffer } from "../transport.ts";

/** A block of the driver's own: smaller ones share theirs, which would be mapped with them. */
const SCRATCH_BYTES = 2 * 1024 * 1024;

/** A KV pool on a GPU, and aux slots in shared memory, as senders of this host reach them. */
export class ExposedPool implements ExposedMemory {
  readonly places: readonly Place[];
  /** A process that is gone may have copies under way until the driver has taken its context down. */
  readonly outlivesSocket = true;
  readonly #device: Device;
  readonly #pciBusId: string;

  /** @throws {CudaError} where the memory cannot be exported: only `cudaMalloc` allocations can */
  constructor(device: Device, buffers: readonly RegisteredBuffer[]) {
    this.#device = device;
    this.#pciBusId = device.pciBusId;
    this.places = buffers.map(({ address, byteLength, gpu, share }) =>
      gpu === undefined
        ? { address, byteLength, ...(share ? { share } : {}) }
        : this.#place(address, byteLength, exportMemory(device, address)),
    );
  }

  allow(): void {}

  openScratch(): Scratch {
    const memory = this.#device.allocate(SCRATCH_BYTES);
    return {
      place: this.#place(memory.address, SCRATCH_BYTES, exportMemory(this.#device, memory.address)),
      read: (byteLength) => {
        using stream = this.#device.createStream();
        using host = this.#device.allocatePinned(byteLength);
        copy(stream, host, memory.slice(0, byteLength));
        stream.synchronize();
        return new Uint8Array(host.buffer).slice();
      },
      close: () => memory.close(),
    };
  }

  #place(address: number, byteLength: number, { handle, offset, byteLength: allocationBytes }: ExportedMemory): Place {
    return {
      address,
      byteLength,
      device: { handle: handle.toHex(), offset, allocationBytes, pciBusId: this.#pciBusId },
    };
  }
}
