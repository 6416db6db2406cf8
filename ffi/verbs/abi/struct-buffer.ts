import {
  type Address,
  NativeBuffer,
  unsafeReadAddress,
  unsafeReadI32,
  unsafeReadU32,
  unsafeReadU64,
  unsafeReadU8,
} from "../../runtime/index.ts";
import type { Fields, StructLayout } from "./layout.ts";

/** One zeroed C struct in memory of our own, read and written by C's member names. For the cold path only. */
export class StructBuffer<F extends Fields> {
  readonly layout: StructLayout<F>;
  readonly buffer: NativeBuffer;

  constructor(layout: StructLayout<F>, byteLength = layout.size) {
    this.layout = layout;
    this.buffer = NativeBuffer.allocate(Math.max(byteLength, layout.size));
  }

  get address(): Address {
    return this.buffer.address;
  }

  /** 64-bit members come back as numbers, exact below 2^53. */
  get(name: keyof F & string): number {
    const { type, offset } = this.layout.fields[name]!;
    const { view } = this.buffer;
    switch (type) {
      case "u8":
        return view.getUint8(offset);
      case "u16":
        return view.getUint16(offset, true);
      case "u32":
        return view.getUint32(offset, true);
      case "i32":
        return view.getInt32(offset, true);
      case "u64":
      case "pointer":
        return this.buffer.getAddress(offset);
      case "bytes":
        throw new TypeError(`${this.layout.name}.${name} is an array; use bytes()`);
    }
  }

  getBigInt(name: keyof F & string): bigint {
    return this.buffer.view.getBigUint64(this.layout.fields[name]!.offset, true);
  }

  set(name: keyof F & string, value: number): this {
    const { type, offset } = this.layout.fields[name]!;
    const { view } = this.buffer;
    switch (type) {
      case "u8":
        view.setUint8(offset, value);
        return this;
      case "u16":
        view.setUint16(offset, value, true);
        return this;
      case "u32":
        view.setUint32(offset, value, true);
        return this;
      case "i32":
        view.setInt32(offset, value, true);
        return this;
      case "u64":
      case "pointer":
        this.buffer.setAddress(offset, value);
        return this;
      case "bytes":
        throw new TypeError(`${this.layout.name}.${name} is an array; use bytes()`);
    }
  }

  setBigInt(name: keyof F & string, value: bigint): this {
    this.buffer.view.setBigUint64(this.layout.fields[name]!.offset, value, true);
    return this;
  }

  /** Takes over the bytes of the same struct, or of one that begins with it. */
  copyFrom(bytes: Uint8Array): this {
    this.buffer.bytes.set(bytes.subarray(0, this.buffer.byteLength));
    return this;
  }

  /** A live view of an array member. */
  bytes(name: keyof F & string): Uint8Array {
    const { offset, size } = this.layout.fields[name]!;
    return this.buffer.bytes.subarray(offset, offset + size);
  }
}

/** Reads one member of a struct that C owns. The caller answers for the address. */
export function unsafeReadField<F extends Fields>(
  address: Address,
  layout: StructLayout<F>,
  name: keyof F & string,
): number {
  const { type, offset } = layout.fields[name]!;
  switch (type) {
    case "u8":
      return unsafeReadU8(address, offset);
    case "u16":
      return unsafeReadU8(address, offset) | (unsafeReadU8(address, offset + 1) << 8);
    case "u32":
      return unsafeReadU32(address, offset);
    case "i32":
      return unsafeReadI32(address, offset);
    case "u64":
      return Number(unsafeReadU64(address, offset));
    case "pointer":
      return unsafeReadAddress(address, offset);
    case "bytes":
      throw new TypeError(`${layout.name}.${name} is an array`);
  }
}
