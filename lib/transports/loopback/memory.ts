const SPACING = 0x1_0000_0000;

/** Memory with made-up addresses: what the loopback moves, and what a test looks at. One per world. */
export class SimulatedMemory {
  readonly #blocks: Uint8Array<ArrayBuffer>[] = [];

  /** The address of `byteLength` zeroed bytes. */
  allocate(byteLength: number): { readonly address: number; readonly bytes: Uint8Array<ArrayBuffer> } {
    const bytes = new Uint8Array(byteLength);
    const address = this.#blocks.push(bytes) * SPACING;
    return { address, bytes };
  }

  at(address: number, byteLength: number): Uint8Array<ArrayBuffer> {
    const block = this.#blocks[Math.floor(address / SPACING) - 1];
    const offset = address % SPACING;
    if (!block || offset + byteLength > block.length) {
      throw new RangeError(`no simulated memory of ${byteLength} bytes at ${address}`);
    }
    return block.subarray(offset, offset + byteLength);
  }

  copy(source: number, destination: number, byteLength: number): void {
    this.at(destination, byteLength).set(this.at(source, byteLength));
  }
}
