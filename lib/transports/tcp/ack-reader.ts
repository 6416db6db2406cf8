import { type Socket, WOULD_BLOCK } from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import type { RoomTag } from "../transport.ts";
import { carryBytes, FrameError, MAX_CARRIED_BYTES, RECEIVER_FRAME_BYTES, ReceiverFrame } from "./frames.ts";

export interface ReceivedFrame {
  readonly type: number;
  readonly tag: RoomTag;
  /** Empty but for a CARRY; good until the next frame is asked for. */
  readonly carried: Uint8Array;
}

const BUFFER_BYTES = 4_096;

/** Takes the receiver's frames off the stream. */
export class AckReader {
  readonly #socket: Socket;
  #buffer = NativeBuffer.allocate(BUFFER_BYTES);
  #from = 0;
  #to = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The next whole frame; undefined where there is none now. Throws LibcError, FrameError. */
  next(): ReceivedFrame | "ended" | undefined {
    for (;;) {
      const wanted = this.#wanted;
      if (this.#to - this.#from >= wanted) return this.#take(wanted);
      this.#makeRoom(wanted);
      const got = this.#socket.receive(this.#buffer.address + this.#to, this.#buffer.byteLength - this.#to);
      if (got === WOULD_BLOCK) return undefined;
      if (got === 0) return "ended";
      this.#to += got;
    }
  }

  /** Of the frame that is coming, as far as its first bytes say. */
  get #wanted(): number {
    const { u32 } = this.#buffer;
    const word = this.#from / 4;
    if (this.#to - this.#from < RECEIVER_FRAME_BYTES || u32[word] !== ReceiverFrame.CARRY) return RECEIVER_FRAME_BYTES;
    const byteLength = this.#buffer.getAddress(this.#from + 8);
    if (byteLength <= MAX_CARRIED_BYTES) return carryBytes(byteLength);
    throw new FrameError(`expected a message of at most ${MAX_CARRIED_BYTES} bytes, not ${byteLength}`);
  }

  #take(wanted: number): ReceivedFrame {
    const { u32, bytes } = this.#buffer;
    const word = this.#from / 4;
    const type = u32[word]!;
    const tag = u32[word + 1]!;
    const body = this.#from + RECEIVER_FRAME_BYTES;
    const count = type === ReceiverFrame.CARRY ? this.#buffer.getAddress(this.#from + 8) : 0;
    this.#from += wanted;
    return { type, tag, carried: bytes.subarray(body, body + count) };
  }

  /** Moves what has come to the buffer's start; the buffer is as long as the longest frame that is under way. */
  #makeRoom(wanted: number): void {
    const held = this.#to - this.#from;
    const byteLength = Math.max(BUFFER_BYTES, wanted);
    if (byteLength > this.#buffer.byteLength || (held === 0 && byteLength < this.#buffer.byteLength)) {
      const larger = NativeBuffer.allocate(byteLength);
      larger.bytes.set(this.#buffer.bytes.subarray(this.#from, this.#to));
      this.#buffer = larger;
    } else this.#buffer.bytes.copyWithin(0, this.#from, this.#to);
    this.#to = held;
    this.#from = 0;
  }
}
