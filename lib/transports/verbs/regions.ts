import type { RegisteredBuffer } from "../transport.ts";

export interface Range {
  readonly address: number;
  readonly byteLength: number;
  /** The GPU that it is on, if it is on one. */
  readonly gpu?: number;
}

/**
 * The buffers as few ranges: those that touch become one registration, unless they are on a GPU, where what touches need not
 * be one allocation. In order of address.
 */
export function mergeRanges(buffers: readonly Pick<RegisteredBuffer, "address" | "byteLength" | "gpu">[]): Range[] {
  const ranges: { address: number; byteLength: number; gpu?: number }[] = [];
  for (const { address, byteLength, gpu } of buffers.toSorted((a, b) => a.address - b.address)) {
    if (byteLength === 0) continue;
    const last = ranges.at(-1);
    if (gpu !== undefined) ranges.push({ address, byteLength, gpu });
    else if (last && last.gpu === undefined && address <= last.address + last.byteLength) {
      last.byteLength = Math.max(last.byteLength, address + byteLength - last.address);
    } else ranges.push({ address, byteLength });
  }
  return ranges;
}

/** The key of each range. Runs of one buffer come together, so the range found last is looked at first. */
export class KeyTable {
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  readonly #keys: Uint32Array;
  #last = 0;

  /** `ranges` in order of address, without overlap. */
  constructor(ranges: readonly Range[], keys: readonly number[]) {
    this.#starts = Float64Array.from(ranges, ({ address }) => address);
    this.#ends = Float64Array.from(ranges, ({ address, byteLength }) => address + byteLength);
    this.#keys = Uint32Array.from(keys);
  }

  /** The key for the bytes, or -1 where they do not lie in one range. */
  find(address: number, byteLength: number): number {
    const end = address + byteLength;
    const last = this.#last;
    if (address >= this.#starts[last]! && end <= this.#ends[last]!) return this.#keys[last]!;
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#starts[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    const found = low - 1;
    if (found < 0 || end > this.#ends[found]!) return -1;
    this.#last = found;
    return this.#keys[found]!;
  }
}
