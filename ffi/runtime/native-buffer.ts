import { ptr, read, toArrayBuffer } from "bun:ffi";
import type { Address } from "./types.ts";

/**
 * Bytes that native code may be given the address of. The storage is an explicit ArrayBuffer, which JavaScriptCore
 * never moves, and it lives as long as this object is referenced: whoever hands the address to C keeps the object.
 * Memory that a device or another process writes belongs in a mapping instead (ffi/libc).
 */
export class NativeBuffer {
  readonly address: Address;
  readonly byteLength: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;

  private constructor(storage: ArrayBuffer | SharedArrayBuffer, byteLength: number) {
    this.byteLength = byteLength;
    this.bytes = new Uint8Array(storage, 0, byteLength);
    this.view = new DataView(storage, 0, byteLength);
    const words = storage.byteLength >>> 2;
    this.u32 = new Uint32Array(storage, 0, words);
    this.i32 = new Int32Array(storage, 0, words);
    this.address = ptr(storage);
  }

  /** Zeroed storage of at least `byteLength` bytes, aligned to 16. */
  static allocate(byteLength: number): NativeBuffer {
    return new NativeBuffer(new ArrayBuffer(Math.max(16, (byteLength + 7) & ~7)), byteLength);
  }

  /** Native code sees the same bytes as every thread that holds `shared`. */
  static overShared(shared: SharedArrayBuffer): NativeBuffer {
    return new NativeBuffer(shared, shared.byteLength);
  }

  /** A NUL-terminated UTF-8 copy of `text`, for C that keeps the address beyond the call. */
  static fromString(text: string): NativeBuffer {
    const encoded = new TextEncoder().encode(text);
    const buffer = NativeBuffer.allocate(encoded.length + 1);
    buffer.bytes.set(encoded);
    return buffer;
  }

  /** Writes an address or a 64-bit count below 2^53 at `offset`, as two words: cheaper than a BigInt store. */
  setAddress(offset: number, value: number): void {
    const word = offset >>> 2;
    // The store takes the low 32 bits by itself.
    this.u32[word] = value;
    this.u32[word + 1] = value / 0x1_0000_0000;
  }

  getAddress(offset: number): number {
    const word = offset >>> 2;
    return unsigned(this.i32[word]!) + this.u32[word + 1]! * 0x1_0000_0000;
  }
}

/**
 * The 32 bits as a number from 0 to 2^32-1. A plain load would do; but code compiled while all were below 2^31 is thrown
 * away at the first that is not, and where memory lies is chance.
 */
export function unsigned(word: number): number {
  return (word ^ 0x8000_0000) + 0x8000_0000;
}

/** A view of memory that C owns. Nothing keeps it alive: it must not outlive what stands at the address. */
export function unsafeViewAt(address: Address, byteLength: number): ArrayBuffer {
  return toArrayBuffer(address as never, 0, byteLength);
}

export function unsafeReadU8(address: Address, offset = 0): number {
  return read.u8(address as never, offset);
}

export function unsafeReadI32(address: Address, offset = 0): number {
  return read.i32(address as never, offset);
}

export function unsafeReadU32(address: Address, offset = 0): number {
  return read.u32(address as never, offset);
}

export function unsafeReadU64(address: Address, offset = 0): bigint {
  return read.u64(address as never, offset);
}

export function unsafeReadAddress(address: Address, offset = 0): Address {
  return read.ptr(address as never, offset);
}

/** The NUL-terminated UTF-8 string at `address`, at most `limit` bytes of it; "" for NULL. */
export function unsafeReadCString(address: Address, limit = 65_536): string {
  if (address === 0) return "";
  let length = 0;
  while (length < limit && read.u8(address as never, length) !== 0) length++;
  return length === 0 ? "" : new TextDecoder().decode(new Uint8Array(unsafeViewAt(address, length)));
}
