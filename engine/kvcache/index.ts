/** The paged cache of keys and values: layout, memory, pages. @module */
export { PageAllocator } from "./allocator.ts";
export { bytesPerToken, type KvBufferKind, type KvLayout } from "./layout.ts";
export { gpuMemory } from "./gpu-memory.ts";
export { type ByteRange, heapMemory, type PoolMemory, type PoolRegion } from "./memory.ts";
export { type KvBuffer, KvPool, type KvPoolOptions } from "./pool.ts";
