import { type Socket, WOULD_BLOCK } from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import { GREETING_HEADER_BYTES, GREETING_MAGIC, MAX_GREETING_BYTES } from "./frames.ts";

export function packGreeting(value: unknown): NativeBuffer {
  const text = new TextEncoder().encode(JSON.stringify(value));
  const greeting = NativeBuffer.allocate(GREETING_HEADER_BYTES + text.length);
  greeting.u32[0] = GREETING_MAGIC;
  greeting.u32[1] = text.length;
  greeting.bytes.set(text, GREETING_HEADER_BYTES);
  return greeting;
}

/** Reads one greeting, however few bytes come at a time, and not a byte beyond it. */
export class GreetingReader {
  readonly #socket: Socket;
  readonly #buffer = NativeBuffer.allocate(GREETING_HEADER_BYTES + MAX_GREETING_BYTES);
  #filled = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The JSON once it is whole, undefined before. Throws where the peer says something else, or ends. */
  read(): { readonly value: unknown } | undefined {
    for (;;) {
      const wanted = this.#wanted;
      if (this.#filled === wanted) {
        const text = this.#buffer.bytes.subarray(GREETING_HEADER_BYTES, wanted);
        return { value: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text)) };
      }
      const got = this.#socket.receive(this.#buffer.address + this.#filled, wanted - this.#filled);
      if (got === WOULD_BLOCK) return undefined;
      if (got === 0) throw new Error("the connection ended before the greeting did");
      this.#filled += got;
    }
  }

  get #wanted(): number {
    if (this.#filled < GREETING_HEADER_BYTES) return GREETING_HEADER_BYTES;
    const length = this.#buffer.u32[1]!;
    if (this.#buffer.u32[0] !== GREETING_MAGIC || length === 0 || length > MAX_GREETING_BYTES) {
      throw new Error("expected a kvwire greeting");
    }
    return GREETING_HEADER_BYTES + length;
  }
}
