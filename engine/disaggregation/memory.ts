import { Mapping } from "../../ffi/libc/index.ts";
import type { PoolMemory } from "../kvcache/index.ts";

/** Pool memory that peers on this host can map and network cards can write. */
export const sharedMemory: PoolMemory = {
  allocate: (byteLength) => {
    const mapping = Mapping.allocate(byteLength, { shared: true, name: "kvwire-kv" });
    return { buffer: mapping.buffer, address: mapping.address, close: () => mapping.close() };
  },
};
