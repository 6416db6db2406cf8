import { type Address, NativeBuffer } from "../runtime/index.ts";
import { structs } from "./abi/index.ts";
import { VerbsUserError } from "./errors.ts";

const { size, fields } = structs.scatterGatherEntry;
const WORDS = size / 4;
const ADDRESS = fields.addr.offset / 4;
const LENGTH = fields.length.offset / 4;
const LKEY = fields.lkey.offset / 4;

/** The scatter/gather entries of a list of work requests, side by side in one buffer that does not move. */
export class ScatterGatherArena {
  readonly capacity: number;
  /** Entries in use. */
  count = 0;
  /** The first entry that belongs to no request yet. */
  open = 0;
  /** Bytes of the entries that belong to no request yet. */
  openBytes = 0;
  readonly #buffer: NativeBuffer;
  readonly #words: Uint32Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#buffer = NativeBuffer.allocate(capacity * size);
    this.#words = this.#buffer.u32;
  }

  add(address: Address, byteLength: number, lkey: number): void {
    if (this.count === this.capacity) {
      throw new VerbsUserError("TOO_MANY_ENTRIES", `this list has room for ${this.capacity} scatter/gather entries`);
    }
    const word = this.count * WORDS;
    const words = this.#words;
    words[word + ADDRESS] = address >>> 0;
    words[word + ADDRESS + 1] = (address / 0x1_0000_0000) >>> 0;
    words[word + LENGTH] = byteLength;
    words[word + LKEY] = lkey;
    this.count++;
    this.openBytes += byteLength;
  }

  /** Where the open entries begin. */
  get openAddress(): Address {
    return this.#buffer.address + this.open * size;
  }

  /** Gives the open entries to a request. @returns how many they were. */
  take(): number {
    const taken = this.count - this.open;
    this.open = this.count;
    this.openBytes = 0;
    return taken;
  }

  clear(): void {
    this.count = 0;
    this.open = 0;
    this.openBytes = 0;
  }
}
