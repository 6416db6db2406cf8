import { type Socket, WOULD_BLOCK } from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";

/** Small frames on their way out: kept until the socket takes them, whatever part it takes at a time. */
export class SendBuffer {
  #storage = NativeBuffer.allocate(1_024);
  #from = 0;
  #to = 0;

  get empty(): boolean {
    return this.#from === this.#to;
  }

  append(bytes: Uint8Array): void {
    if (this.#to + bytes.length > this.#storage.byteLength) this.#makeRoom(bytes.length);
    this.#storage.bytes.set(bytes, this.#to);
    this.#to += bytes.length;
  }

  /** True: all sent. False: the socket is full. Throws LibcError. */
  flush(socket: Socket): boolean {
    while (this.#from < this.#to) {
      const sent = socket.send(this.#storage.address + this.#from, this.#to - this.#from);
      if (sent === WOULD_BLOCK) return false;
      this.#from += sent;
    }
    this.#from = 0;
    this.#to = 0;
    return true;
  }

  #makeRoom(byteLength: number): void {
    const held = this.#storage.bytes.slice(this.#from, this.#to);
    if (held.length + byteLength > this.#storage.byteLength) {
      this.#storage = NativeBuffer.allocate(2 * (held.length + byteLength));
    }
    this.#storage.bytes.set(held);
    this.#from = 0;
    this.#to = held.length;
  }
}
