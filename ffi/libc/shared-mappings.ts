import type { Address } from "../runtime/index.ts";

/** Where bytes stand in a memfd. */
export interface MemoryShare {
  readonly fd: number;
  /** Bytes from the beginning of the memfd. */
  readonly offset: number;
}

interface SharedMapping extends MemoryShare {
  readonly address: Address;
  readonly byteLength: number;
}

/** The open shared mappings that this thread made, by address. Workers have tables of their own. */
const table = new Map<Address, SharedMapping>();

export function addSharedMapping(address: Address, byteLength: number, share: MemoryShare): void {
  table.set(address, { address, byteLength, ...share });
}

export function removeSharedMapping(address: Address): void {
  table.delete(address);
}

/**
 * Where the `byteLength` bytes at `address` stand in a memfd, if one open mapping of this thread holds them all:
 * how the library tells which of a user's buffers a peer can map.
 */
export function findSharedMapping(address: Address, byteLength: number): MemoryShare | undefined {
  for (const mapping of table.values()) {
    const into = address - mapping.address;
    if (into >= 0 && into + byteLength <= mapping.byteLength) return { fd: mapping.fd, offset: mapping.offset + into };
  }
  return undefined;
}
