import { Mapping } from "../../ffi/libc/index.ts";
import type { KVArgs } from "../../lib/index.ts";

/** One layer's latents: a page is one piece of memory, so that what is measured is the room and not the copy. */
export class BenchPool {
  readonly mapping: Mapping;
  readonly args: KVArgs;

  constructor(pageBytes: number, pages: number) {
    const auxBytes = 64;
    this.mapping = Mapping.allocate(pageBytes * pages + 8 * auxBytes, { shared: true, populate: true });
    this.args = {
      kvDataPtrs: [this.mapping.address],
      kvDataLens: [pageBytes * pages],
      kvItemLens: [pageBytes],
      auxDataPtrs: [this.mapping.address + pageBytes * pages],
      auxDataLens: [8 * auxBytes],
      auxItemLens: [auxBytes],
      pageSize: 1,
      attention: "mla",
      kvCacheDtype: "float32",
    };
  }
}
