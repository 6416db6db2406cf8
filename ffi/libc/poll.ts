import { constants } from "node:os";
import { NativeBuffer } from "../runtime/index.ts";
import { PollEvent } from "./constants.ts";
import { lastErrno, LibcError } from "./errors.ts";
import { libc } from "./library.ts";

const ENTRY_BYTES = 8;

/** A growing array of `struct pollfd` for poll(2). */
export class PollSet {
  #storage = NativeBuffer.allocate(16 * ENTRY_BYTES);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
  }

  add(fd: number, readable: boolean, writable: boolean): void {
    if ((this.#count + 1) * ENTRY_BYTES > this.#storage.byteLength) this.#grow();
    this.#storage.i32[this.#count * 2] = fd;
    this.#storage.u32[this.#count * 2 + 1] = (readable ? PollEvent.IN : 0) | (writable ? PollEvent.OUT : 0);
    this.#count++;
  }

  /** Blocks the thread for up to `timeoutMs` (0: not at all) and gives the number of entries that are ready. */
  wait(timeoutMs: number): number {
    const ready = libc.poll(this.#storage.address, this.#count, timeoutMs);
    if (ready >= 0) return ready;
    const errno = lastErrno();
    if (errno === constants.errno.EINTR) return 0;
    throw new LibcError("poll", errno);
  }

  /** Bits of {@link PollEvent} that entry `index` came back with. */
  readyEvents(index: number): number {
    return this.#storage.u32[index * 2 + 1]! >>> 16;
  }

  #grow(): void {
    const larger = NativeBuffer.allocate(this.#storage.byteLength * 2);
    larger.bytes.set(this.#storage.bytes);
    this.#storage = larger;
  }
}
