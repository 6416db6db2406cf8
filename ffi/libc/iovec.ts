import { type Address, NativeBuffer } from "../runtime/index.ts";
import { IOV_MAX } from "./constants.ts";

const ENTRY_BYTES = 16;

/** A reusable array of `struct iovec` (readv(2)): two words each, written without allocating. */
export class IovecArena {
  readonly #storage: NativeBuffer;
  readonly capacity: number;
  #count = 0;
  #bytes = 0;

  private constructor(capacity: number) {
    this.capacity = capacity;
    this.#storage = NativeBuffer.allocate(capacity * ENTRY_BYTES);
  }

  static allocate(capacity: number = IOV_MAX): IovecArena {
    return new IovecArena(capacity);
  }

  get address(): Address {
    return this.#storage.address;
  }

  get count(): number {
    return this.#count;
  }

  /** The sum of the lengths. */
  get bytes(): number {
    return this.#bytes;
  }

  clear(): void {
    this.#count = 0;
    this.#bytes = 0;
  }

  /** Appends one entry; the caller has seen that `count < capacity`. */
  push(address: Address, byteLength: number): void {
    this.set(this.#count++, address, byteLength);
    this.#bytes += byteLength;
  }

  /** Appends, or lengthens the last entry where the new bytes stand right behind it. False: the arena is full. */
  extend(address: Address, byteLength: number): boolean {
    const last = this.#count - 1;
    if (last >= 0) {
      const length = this.lengthAt(last);
      if (this.addressAt(last) + length === address) {
        this.#setLength(last, length + byteLength);
        this.#bytes += byteLength;
        return true;
      }
    }
    if (this.#count === this.capacity) return false;
    this.push(address, byteLength);
    return true;
  }

  /** Makes entry `index` longer by `byteLength`. */
  lengthen(index: number, byteLength: number): void {
    this.#setLength(index, this.lengthAt(index) + byteLength);
    this.#bytes += byteLength;
  }

  addressAt(index: number): Address {
    return this.#storage.getAddress(index * ENTRY_BYTES);
  }

  lengthAt(index: number): number {
    return this.#storage.getAddress(index * ENTRY_BYTES + 8);
  }

  set(index: number, address: Address, byteLength: number): void {
    this.#storage.setAddress(index * ENTRY_BYTES, address);
    this.#storage.setAddress(index * ENTRY_BYTES + 8, byteLength);
  }

  /**
   * Takes `moved` bytes off the entries from `first` on, after a call that moved only part of them, and gives the index
   * of the first entry that still has bytes. Entries before it are left as they are.
   */
  advance(first: number, moved: number): number {
    let index = first;
    let left = moved;
    this.#bytes -= moved;
    while (index < this.#count) {
      const length = this.lengthAt(index);
      if (left < length) {
        if (left > 0) this.set(index, this.addressAt(index) + left, length - left);
        break;
      }
      left -= length;
      index++;
    }
    return index;
  }

  /** Where entry `index` stands, for a call that starts in the middle. */
  entryAddress(index: number): Address {
    return this.#storage.address + index * ENTRY_BYTES;
  }

  #setLength(index: number, byteLength: number): void {
    this.#storage.setAddress(index * ENTRY_BYTES + 8, byteLength);
  }
}
