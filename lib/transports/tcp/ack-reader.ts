import { type Socket, WOULD_BLOCK } from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import type { RoomTag } from "../transport.ts";
import { RECEIVER_FRAME_BYTES } from "./frames.ts";

export interface ReceivedFrame {
  readonly type: number;
  readonly tag: RoomTag;
}

/** Takes the receiver's short frames off the stream. */
export class AckReader {
  readonly #socket: Socket;
  readonly #buffer = NativeBuffer.allocate(256 * RECEIVER_FRAME_BYTES);
  #from = 0;
  #to = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The next whole frame; undefined where there is none now. Throws LibcError. */
  next(): ReceivedFrame | "ended" | undefined {
    while (this.#to - this.#from < RECEIVER_FRAME_BYTES) {
      this.#buffer.bytes.copyWithin(0, this.#from, this.#to);
      this.#to -= this.#from;
      this.#from = 0;
      const got = this.#socket.receive(this.#buffer.address + this.#to, this.#buffer.byteLength - this.#to);
      if (got === WOULD_BLOCK) return undefined;
      if (got === 0) return "ended";
      this.#to += got;
    }
    const word = this.#from / 4;
    this.#from += RECEIVER_FRAME_BYTES;
    return { type: this.#buffer.u32[word]!, tag: this.#buffer.u32[word + 1]! };
  }
}
