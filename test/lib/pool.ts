import { Mapping } from "../../ffi/libc/index.ts";
import type { KVArgs } from "../../lib/index.ts";

export interface PoolOptions {
  readonly layers?: number;
  readonly pages?: number;
  readonly pageBytes?: number;
  readonly auxSlots?: number;
  readonly auxBytes?: number;
  readonly shared?: boolean;
}

/** A rank's KV pool in one mapping: GQA with two heads, K and V a layer, and one aux buffer. */
export class TestPool implements Disposable {
  readonly mapping: Mapping;
  args: KVArgs;
  readonly pages: number;
  readonly pageBytes: number;
  readonly buffers: number;
  readonly auxBytes: number;
  readonly #poolBytes: number;

  constructor(options: PoolOptions = {}) {
    const { layers = 2, pages = 64, pageBytes = 4_096, auxSlots = 64, auxBytes = 256, shared = true } = options;
    this.pages = pages;
    this.pageBytes = pageBytes;
    this.auxBytes = auxBytes;
    this.buffers = 2 * layers;
    this.#poolBytes = pages * pageBytes;
    this.mapping = Mapping.allocate(this.buffers * this.#poolBytes + auxSlots * auxBytes, { shared });
    const auxAddress = this.mapping.address + this.buffers * this.#poolBytes;
    const each = <T>(make: (index: number) => T): T[] =>
      Array.from({ length: this.buffers }, (_, index) => make(index));
    this.args = {
      kvDataPtrs: each((i) => this.mapping.address + i * this.#poolBytes),
      kvDataLens: each(() => this.#poolBytes),
      kvItemLens: each(() => pageBytes),
      auxDataPtrs: [auxAddress],
      auxDataLens: [auxSlots * auxBytes],
      auxItemLens: [auxBytes],
      pageSize: 16,
      attention: "mha",
      kvHeadNum: 2,
      totalKvHeadNum: 2,
      kvCacheDtype: "float32",
    };
  }

  page(buffer: number, page: number): Uint8Array {
    return this.mapping.bytes.subarray(buffer * this.#poolBytes + page * this.pageBytes).subarray(0, this.pageBytes);
  }

  aux(slot: number): Uint8Array {
    return this.mapping.bytes
      .subarray(this.buffers * this.#poolBytes + slot * this.auxBytes)
      .subarray(0, this.auxBytes);
  }

  /** Fills the pages and the aux slot with bytes that no other room, page or buffer has at that place. */
  fill(room: number, pages: readonly number[], auxSlot: number): void {
    pages.forEach((page, position) => {
      for (let buffer = 0; buffer < this.buffers; buffer++) {
        this.page(buffer, page).set(pattern(room, position, buffer, this.pageBytes));
      }
    });
    this.aux(auxSlot).set(pattern(room, -1, 0, this.auxBytes));
  }

  /** Whether they hold what {@link fill} put into the sender's. */
  holds(room: number, pages: readonly number[], auxSlot: number): boolean {
    const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
    return (
      same(this.aux(auxSlot), pattern(room, -1, 0, this.auxBytes)) &&
      pages.every((page, position) =>
        Array.from({ length: this.buffers }, (_, buffer) => buffer).every((buffer) =>
          same(this.page(buffer, page), pattern(room, position, buffer, this.pageBytes)),
        ),
      )
    );
  }

  [Symbol.dispose](): void {
    this.mapping.close();
  }
}

function pattern(room: number, position: number, buffer: number, byteLength: number): Uint8Array {
  const words = new Uint32Array(byteLength / 4);
  let state =
    (Math.imul(room, 0x9e37_79b1) ^ Math.imul(position + 2, 0x85eb_ca6b) ^ Math.imul(buffer + 1, 0xc2b2_ae35)) >>> 0;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}
