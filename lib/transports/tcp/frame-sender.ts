import { type TcpSocket, WOULD_BLOCK } from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import type { KVTransferError } from "../../errors.ts";
import type { QueuedBatch } from "../pairs/index.ts";
import type { RoomTag, WriteBatch } from "../transport.ts";
import { FrameBuilder } from "./frame-builder.ts";
import { SENDER_HEADER_BYTES } from "./frames.ts";
import { SendBuffer } from "./send-buffer.ts";

const control = NativeBuffer.allocate(SENDER_HEADER_BYTES);

export interface CancelledBatch {
  readonly batch: WriteBatch;
  readonly error: KVTransferError;
}

/** Puts frames on the stream, whole ones one after the other, whatever part of one the socket takes at a time. */
export class FrameSender {
  readonly #socket: TcpSocket;
  readonly #builder = new FrameBuilder();
  /** Frames without data; they go between those with. */
  readonly #control = new SendBuffer();
  #sending: QueuedBatch | undefined;
  /** The first entry of the builder's vector that has bytes left. */
  #firstUnsent = 0;
  #cancelled: CancelledBatch | undefined;

  constructor(socket: TcpSocket) {
    this.#socket = socket;
  }

  /** The batch of which half a frame is out: the other half is still read from its pages. */
  get sending(): WriteBatch | undefined {
    return this.#sending?.batch;
  }

  get idle(): boolean {
    return !this.#sending && this.#control.empty;
  }

  /** Takes the next frame's worth of data; only when no data frame is under way. */
  begin(queued: QueuedBatch): void {
    this.#builder.build(queued);
    this.#sending = queued;
    this.#firstUnsent = 0;
  }

  append(bytes: Uint8Array): void {
    this.#control.append(bytes);
  }

  appendControl(type: number, tag: RoomTag): void {
    control.u32[0] = type;
    control.u32[1] = tag;
    this.#control.append(control.bytes);
  }

  /** The batch under way is not wanted any more; it is free when its frame is out: see {@link takeCancelled}. */
  cancelSending(error: KVTransferError): void {
    if (this.#sending) this.#cancelled = { batch: this.#sending.batch, error };
  }

  /** The cancelled batch, once nothing of it is read any more; with `anyway` at once, because nothing more will be sent. */
  takeCancelled(anyway = false): CancelledBatch | undefined {
    const cancelled = this.#sending && !anyway ? undefined : this.#cancelled;
    if (cancelled) this.#cancelled = undefined;
    return cancelled;
  }

  /** True: everything is out. False: the socket takes no more. Throws LibcError. */
  flush(): boolean {
    return this.#flushData() && this.#control.flush(this.#socket);
  }

  #flushData(): boolean {
    if (!this.#sending) return true;
    const { vector } = this.#builder;
    while (vector.bytes > 0) {
      const sent = this.#socket.sendVector(vector, this.#firstUnsent);
      if (sent === WOULD_BLOCK) return false;
      this.#firstUnsent = vector.advance(this.#firstUnsent, sent);
    }
    this.#sending = undefined;
    return true;
  }
}
