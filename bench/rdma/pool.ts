import { Mapping } from "../../ffi/libc/index.ts";
import type { KVArgs } from "../../lib/index.ts";

export const LAYERS = 8;
const BUFFERS = 2 * LAYERS;
const AUX_SLOTS = 64;
const AUX_BYTES = 512;

/** A rank's KV pool of 8 layers, K and V, two heads, in one mapping. */
export class Pool implements Disposable {
  readonly args: KVArgs;
  readonly #mapping: Mapping;

  constructor(pages: number, pageBytes: number) {
    const bytes = pages * pageBytes;
    const mapping = Mapping.allocate(BUFFERS * bytes + AUX_SLOTS * AUX_BYTES, { populate: true });
    this.#mapping = mapping;
    this.args = {
      kvDataPtrs: Array.from({ length: BUFFERS }, (_, index) => mapping.address + index * bytes),
      kvDataLens: Array<number>(BUFFERS).fill(bytes),
      kvItemLens: Array<number>(BUFFERS).fill(pageBytes),
      auxDataPtrs: [mapping.address + BUFFERS * bytes],
      auxDataLens: [AUX_SLOTS * AUX_BYTES],
      auxItemLens: [AUX_BYTES],
      pageSize: 16,
      attention: "mha",
      kvHeadNum: 2,
      totalKvHeadNum: 2,
      kvCacheDtype: "float16",
    };
  }

  [Symbol.dispose](): void {
    this.#mapping.close();
  }
}
