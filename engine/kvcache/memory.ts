/** A piece of the pool's memory. `buffer` stays valid until `close`. */
export interface PoolRegion {
  readonly buffer: ArrayBuffer;
  /** Where native code finds `buffer`, where the allocator knows. */
  readonly address?: number;
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
