import { Mapping } from "../../ffi/libc/index.ts";
import {
  copy,
  CopyKernels,
  CudaRuntime,
  type Device,
  type DeviceMemory,
  fill,
  type PinnedMemory,
  type Stream,
} from "../../cuda/index.ts";
import type { KVArgs } from "../../lib/index.ts";
import type { PoolShape } from "./shapes.ts";

const PATTERN_BYTES = 1 << 20;
const AUX_SLOTS = 64;
const AUX_BYTES = 1024;

/** A KV pool in device memory, one allocation a buffer, with checksums of its pages taken on the device. */
export class BenchPool {
  readonly args: KVArgs;
  readonly #shape: PoolShape;
  readonly #pages: number;
  readonly #device: Device;
  readonly #stream: Stream;
  readonly #kernels: CopyKernels;
  readonly #buffers: readonly DeviceMemory[];
  readonly #pattern: PinnedMemory;

  constructor(ordinal: number, shape: PoolShape, pages: number) {
    this.#shape = shape;
    this.#pages = pages;
    this.#device = CudaRuntime.open().device(ordinal);
    this.#stream = this.#device.createStream();
    this.#kernels = CopyKernels.load(this.#device);
    const bytes = pages * shape.pageBytes;
    this.#buffers = Array.from({ length: shape.buffers }, () => this.#device.allocate(bytes));
    this.#pattern = this.#device.allocatePinned(PATTERN_BYTES);
    crypto.getRandomValues(new Uint8Array(this.#pattern.buffer, 0, 65_536));
    const words = new Uint32Array(this.#pattern.buffer);
    for (let i = 16_384; i < words.length; i++) words[i] = Math.imul(words[i - 16_384]! ^ i, 0x9e37_79b1);
    const aux = Mapping.allocate(AUX_SLOTS * AUX_BYTES, { shared: true, name: "kvwire-bench-aux" });
    this.args = {
      kvDataPtrs: this.#buffers.map(({ address }) => address),
      kvDataLens: this.#buffers.map(() => bytes),
      kvItemLens: this.#buffers.map(() => shape.pageBytes),
      auxDataPtrs: [aux.address],
      auxDataLens: [AUX_SLOTS * AUX_BYTES],
      auxItemLens: [AUX_BYTES],
      pageSize: shape.pageSize,
      attention: shape.attention,
      kvHeadNum: shape.kvHeads,
      totalKvHeadNum: shape.kvHeads,
      kvCacheDtype: "bfloat16",
    };
  }

  /** Random bytes everywhere, in every buffer from another place of the pattern on. */
  randomize(): void {
    for (const [index, buffer] of this.#buffers.entries()) {
      const shift = (index * 4_099 * 16) % PATTERN_BYTES;
      for (let at = 0; at < buffer.byteLength;) {
        const from = at === 0 ? shift : 0;
        const length = Math.min(PATTERN_BYTES - from, buffer.byteLength - at);
        copy(this.#stream, buffer.slice(at, length), this.#pattern.slice(from, length));
        at += length;
      }
    }
    this.#stream.synchronize();
  }

  zero(): void {
    for (const buffer of this.#buffers) fill(this.#stream, buffer, 0);
    this.#stream.synchronize();
  }

  /** One number over the checksums of the given pages, in their order, of all buffers. */
  checksum(pages: readonly number[]): string {
    const count = pages.length * this.#buffers.length;
    using table = this.#device.allocatePinned(count * 16);
    using sums = this.#device.allocatePinned(count * 8);
    const addresses = new Float64Array(table.buffer, 0, count);
    const lengths = new Float64Array(table.buffer, count * 8, count);
    let run = 0;
    for (const buffer of this.#buffers) {
      for (const page of pages) {
        addresses[run] = buffer.address + page * this.#shape.pageBytes;
        lengths[run++] = this.#shape.pageBytes;
      }
    }
    this.#kernels.checksumRuns(this.#stream, table.address, table.address + count * 8, count, sums.address);
    this.#stream.synchronize();
    return new Bun.CryptoHasher("sha256").update(new Uint8Array(sums.buffer)).digest("hex");
  }

  get pages(): number {
    return this.#pages;
  }
}
