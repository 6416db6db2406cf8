import { IovecArena } from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import type { QueuedBatch, SegmentSink } from "../pairs/index.ts";
import type { RoomTag } from "../transport.ts";
import { DataFlag, MAX_FRAME_BYTES, MAX_FRAME_RUNS, RUN_BYTES, SENDER_HEADER_BYTES, SenderFrame } from "./frames.ts";

/**
 * Builds one DATA frame at a time: header and run table in one buffer, the data where it stands. Runs are
 * those of the plan, which has joined what belongs together at the receiver; neighbours here share an iovec.
 */
export class FrameBuilder implements SegmentSink {
  /** Header, table and data, ready for sendmsg. */
  readonly vector = IovecArena.allocate();
  readonly #head = NativeBuffer.allocate(SENDER_HEADER_BYTES + MAX_FRAME_RUNS * RUN_BYTES);
  #runs = 0;

  /** Takes the next frame's worth of `queued`, whose room is `tag`. */
  build(queued: QueuedBatch): void {
    const { vector } = this;
    const { tag, last } = queued.batch;
    this.#runs = 0;
    vector.clear();
    // Its length is known only when the runs are.
    vector.push(this.#head.address, 0);
    const bytes = queued.advance(MAX_FRAME_BYTES, this);
    const flags = queued.done ? DataFlag.ENDS_BATCH | (last ? DataFlag.ENDS_ROOM : 0) : 0;
    this.#setHeader(tag, flags, bytes, flags & DataFlag.ENDS_ROOM ? last!.totalBytes : 0);
    vector.lengthen(0, SENDER_HEADER_BYTES + this.#runs * RUN_BYTES);
  }

  add(source: number, destination: number, byteLength: number): boolean {
    if (this.#runs === MAX_FRAME_RUNS) return false;
    const at = SENDER_HEADER_BYTES + this.#runs * RUN_BYTES;
    this.#head.setAddress(at, destination);
    this.#head.setAddress(at + 8, byteLength);
    this.#runs++;
    return this.vector.extend(source, byteLength);
  }

  #setHeader(tag: RoomTag, flags: number, bytes: number, totalBytes: number): void {
    const head = this.#head;
    head.u32[0] = SenderFrame.DATA;
    head.u32[1] = tag;
    head.u32[2] = this.#runs;
    head.u32[3] = flags;
    head.setAddress(16, bytes);
    head.setAddress(24, totalBytes);
  }
}
