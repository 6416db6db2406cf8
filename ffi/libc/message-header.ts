import { type Address, NativeBuffer } from "../runtime/index.ts";

/** Offsets in `struct msghdr` of 64-bit Linux (sendmsg(2)). */
export const MSGHDR = { iov: 16, iovlen: 24, control: 32, controllen: 40, flags: 48, size: 56 } as const;

/** One reusable `struct msghdr` without an address. */
export class MessageHeader {
  readonly #storage = NativeBuffer.allocate(MSGHDR.size);
  readonly address: Address = this.#storage.address;

  static create(): MessageHeader {
    return new MessageHeader();
  }

  setVector(address: Address, count: number): void {
    this.#storage.setAddress(MSGHDR.iov, address);
    this.#storage.u32[MSGHDR.iovlen / 4] = count;
  }

  setControl(address: Address, byteLength: number): void {
    this.#storage.setAddress(MSGHDR.control, address);
    this.#storage.u32[MSGHDR.controllen / 4] = byteLength;
  }

  /** After a receive: bytes of control data that came. */
  get controlLength(): number {
    return this.#storage.u32[MSGHDR.controllen / 4]!;
  }

  get flags(): number {
    return this.#storage.i32[MSGHDR.flags / 4]!;
  }
}
