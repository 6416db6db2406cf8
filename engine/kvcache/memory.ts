export interface ByteRange {
  readonly offset: number;
  readonly byteLength: number;
}

/** A piece of the pool's memory. `buffer` stays valid until `close`. */
export interface PoolRegion {
  /** What the processor computes on. */
  readonly buffer: ArrayBuffer;
  /** Where native code and peers find the region, where the allocator knows. */
  readonly address?: number;
  /** Only where `address` is not `buffer`'s own: brings bytes from `buffer` there, and from there. */
  store?(ranges: Iterable<ByteRange>): void;
  load?(ranges: Iterable<ByteRange>): void;
  close(): void;
}

/**
 * Where the pool's bytes come from. One process alone takes the JavaScript heap; with prefill and decode apart they are
 * mappings that a transport may register and a peer may write.
 */
export interface PoolMemory {
  /** Zeroed bytes, aligned to at least 16. */
  allocate(byteLength: number): PoolRegion;
}

export const heapMemory: PoolMemory = {
  allocate: (byteLength) => ({ buffer: new ArrayBuffer(byteLength), close: () => {} }),
};
