import { copy, CudaRuntime, type Device, type DeviceMemory, type PinnedMemory, type Stream } from "../../cuda/index.ts";
import { type PoolOptions, TestPool } from "./pool.ts";

export interface GpuPoolOptions {
  readonly ordinal: number;
  /** One latent buffer a layer in place of keys and values. */
  readonly mla?: boolean;
}

/** A {@link TestPool} whose pages are on a GPU; the aux slots stay in shared memory. One allocation a buffer. */
export class GpuPool extends TestPool {
  readonly #device: Device;
  readonly #stream: Stream;
  readonly #staging: PinnedMemory;
  readonly #memories: readonly DeviceMemory[];

  constructor(options: PoolOptions, { ordinal, mla = false }: GpuPoolOptions) {
    super(options);
    this.#device = CudaRuntime.open().device(ordinal);
    this.#stream = this.#device.createStream();
    this.#staging = this.#device.allocatePinned(this.pageBytes);
    // The driver cuts smaller allocations out of one block, and exports the block.
    const bytes = Math.max(this.pages * this.pageBytes, 2 << 20);
    this.#memories = Array.from({ length: this.buffers }, () => this.#device.allocate(bytes));
    const heads = mla ? ({ attention: "mla", kvHeadNum: 1, totalKvHeadNum: 1 } as const) : {};
    this.args = { ...this.args, ...heads, kvDataPtrs: this.#memories.map(({ address }) => address) };
  }

  override fill(room: number, pages: readonly number[], auxSlot: number): void {
    super.fill(room, pages, auxSlot);
    this.#each(pages, (host, device) => {
      new Uint8Array(this.#staging.buffer).set(host);
      copy(this.#stream, device, this.#staging);
      this.#stream.synchronize();
    });
  }

  override holds(room: number, pages: readonly number[], auxSlot: number): boolean {
    this.#each(pages, (host, device) => {
      copy(this.#stream, this.#staging, device);
      this.#stream.synchronize();
      host.set(new Uint8Array(this.#staging.buffer));
    });
    return super.holds(room, pages, auxSlot);
  }

  free(): void {
    for (const memory of this.#memories) memory.close();
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#device.close();
  }

  #each(pages: readonly number[], visit: (host: Uint8Array, device: ReturnType<DeviceMemory["slice"]>) => void): void {
    for (const page of pages) {
      for (const [buffer, memory] of this.#memories.entries()) {
        visit(this.page(buffer, page), memory.slice(page * this.pageBytes, this.pageBytes));
      }
    }
  }
}
