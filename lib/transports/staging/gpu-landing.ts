import { CopyBatch, type Device, type PinnedMemory, type Stream } from "../../../cuda/index.ts";
import { unsafeCopy } from "../../../ffi/libc/index.ts";
import type { Landing, RegisteredBuffer } from "../transport.ts";

const COPIES = 1024;
/** A few microseconds on a healthy device. */
const PLACE_MS = 2_000;

/** Pinned memory in which bytes for a GPU arrive; aux slots, which are host memory, are copied on by the processor. */
export class GpuLanding implements Landing {
  readonly #stream: Stream;
  readonly #batch = new CopyBatch(COPIES);
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  #memory: PinnedMemory | undefined;
  readonly #device: Device;

  constructor(device: Device, onGpu: readonly RegisteredBuffer[]) {
    const sorted = onGpu.toSorted((a, b) => a.address - b.address);
    this.#device = device;
    this.#stream = device.createStream();
    this.#starts = Float64Array.from(sorted, ({ address }) => address);
    this.#ends = Float64Array.from(sorted, ({ address, byteLength }) => address + byteLength);
  }

  take(byteLength: number): number {
    if (this.#memory === undefined || this.#memory.byteLength < byteLength) {
      this.#memory?.close();
      this.#memory = this.#device.allocatePinned(byteLength);
    }
    return this.#memory.address;
  }

  place(count: number, addressOf: (run: number) => number, lengthOf: (run: number) => number): void {
    let from = this.#memory!.address;
    for (let run = 0; run < count; run++) {
      const [to, length] = [addressOf(run), lengthOf(run)];
      if (!this.#isOnGpu(to)) unsafeCopy(to, from, length);
      else {
        if (this.#batch.full) this.#batch.submit(this.#stream);
        this.#batch.add(to, from, length);
      }
      from += length;
    }
    this.#batch.submit(this.#stream);
    this.#stream.synchronize(PLACE_MS);
  }

  close(): void {
    this.#stream.close();
    this.#memory?.close();
  }

  #isOnGpu(address: number): boolean {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ends[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    return low < this.#starts.length && this.#starts[low]! <= address;
  }
}
