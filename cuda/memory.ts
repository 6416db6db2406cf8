import type { Address } from "../ffi/runtime/index.ts";
import { CudaUsageError } from "./errors.ts";
import { type Children, Resource } from "./resource.ts";

/** Bytes that a copy may read or write. */
export interface Span {
  readonly address: Address;
  readonly byteLength: number;
  /** What must not be freed while a copy is under way; undefined for memory that the caller answers for. */
  readonly owner?: Resource;
}

/** Bytes that the caller answers for: nothing keeps them alive. */
export function unsafeSpan(address: Address, byteLength: number): Span {
  return { address, byteLength };
}

/** Memory with an owner: the whole of it is a span, and so is any part. */
export abstract class Memory extends Resource implements Span {
  readonly byteLength: number;
  readonly #address: Address;

  protected constructor(siblings: Children, address: Address, byteLength: number) {
    super(siblings);
    this.#address = address;
    this.byteLength = byteLength;
  }

  get address(): Address {
    this.assertOpen();
    return this.#address;
  }

  get owner(): Resource {
    return this;
  }

  /** For {@link Resource.release}, which runs when the memory is closed. */
  protected get releasedAddress(): Address {
    return this.#address;
  }

  slice(offset: number, byteLength: number = this.byteLength - offset): Span {
    if (offset < 0 || byteLength < 0 || offset + byteLength > this.byteLength) {
      const asked = `[${offset}, ${offset + byteLength})`;
      throw new CudaUsageError("CUDA_OUT_OF_BOUNDS", `bytes ${asked} of a memory of ${this.byteLength}`);
    }
    return { address: this.address + offset, byteLength, owner: this };
  }
}
