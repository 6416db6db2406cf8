import { PageAllocator } from "./allocator.ts";
import type { KvBufferKind, KvLayout } from "./layout.ts";
import type { ByteRange, PoolMemory, PoolRegion } from "./memory.ts";

/** One buffer: [page][token of the page][tokenSize] float32. */
export interface KvBuffer {
  readonly kind: KvBufferKind;
  readonly layer: number;
  /** Elements per token. */
  readonly tokenSize: number;
  /** Bytes per page. */
  readonly pageBytes: number;
  readonly region: PoolRegion;
  readonly data: Float32Array;
}

export interface KvPoolOptions {
  readonly layout: KvLayout;
  readonly pageSize: number;
  readonly pages: number;
  readonly memory: PoolMemory;
  readonly seed?: number;
}

/**
 * The paged cache of keys and values. Page p holds token slots p * pageSize to (p + 1) * pageSize - 1 in every buffer;
 * a request's token at position n lies in slot `pages[floor(n / pageSize)] * pageSize + n % pageSize`.
 */
export class KvPool {
  readonly layout: KvLayout;
  readonly pageSize: number;
  readonly allocator: PageAllocator;
  /** In SGLang's order: one kind after the other, each from the first layer to the last. */
  readonly buffers: readonly KvBuffer[];

  constructor(options: KvPoolOptions) {
    const { layout, pageSize, pages, memory } = options;
    this.layout = layout;
    this.pageSize = pageSize;
    this.allocator = new PageAllocator(pages, options.seed);
    this.buffers = layout.buffers.flatMap(({ kind, tokenSize }) =>
      Array.from({ length: layout.layers }, (_, layer): KvBuffer => {
        const pageBytes = pageSize * tokenSize * Float32Array.BYTES_PER_ELEMENT;
        const region = memory.allocate(pages * pageBytes);
        const data = new Float32Array(region.buffer, 0, pages * pageSize * tokenSize);
        return { kind, layer, tokenSize, pageBytes, region, data };
      }),
    );
  }

  /** The buffer of one kind and layer. */
  data(kind: KvBufferKind, layer: number): Float32Array {
    const found = this.buffers.find((buffer) => buffer.kind === kind && buffer.layer === layer);
    if (found === undefined) throw new RangeError(`the pool has no ${kind} buffer for layer ${layer}`);
    return found.data;
  }

  get capacityTokens(): number {
    return this.allocator.pages * this.pageSize;
  }

  /** Pages that `tokens` tokens take. */
  pagesFor(tokens: number): number {
    return Math.ceil(tokens / this.pageSize);
  }

  /** Puts pages that were computed where peers read them. */
  store(pages: Int32Array): void {
    for (const { region, pageBytes } of this.buffers) region.store?.(rangesOf(pages, pageBytes));
  }

  /** Fetches pages that a peer has written for the processor to read. */
  load(pages: Int32Array): void {
    for (const { region, pageBytes } of this.buffers) region.load?.(rangesOf(pages, pageBytes));
  }

  /** Gives the memory back. Nothing may use the buffers afterwards. */
  close(): void {
    for (const { region } of this.buffers) region.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function rangesOf(pages: Int32Array, pageBytes: number): ByteRange[] {
  return Array.from(pages, (page) => ({ offset: page * pageBytes, byteLength: pageBytes }));
}
