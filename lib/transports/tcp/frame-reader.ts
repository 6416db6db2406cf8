import { IovecArena, type Socket } from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import type { Landing, RoomTag } from "../transport.ts";
import {
  DataFlag,
  FrameError,
  MAX_FRAME_BYTES,
  MAX_FRAME_RUNS,
  RUN_BYTES,
  SENDER_HEADER_BYTES,
  SenderFrame,
} from "./frames.ts";

/** What to do with the data of a room: `wrong` fails the pair. */
export type Verdict = "place" | "discard" | "wrong";

export interface FrameReaderEvents {
  judge(tag: RoomTag): Verdict;
  mayWrite(tag: RoomTag, address: number, byteLength: number): boolean;
  /** A batch ended; with `placed` its last frame, and every one before it, is in memory. */
  batchEnded(tag: RoomTag): void;
  roomEnded(tag: RoomTag, totalBytes: number): void;
  fenced(tag: RoomTag): void;
}

const SINK_BYTES = 256 * 1024;
/** Where thrown-away data goes: all readers share it, none reads it. */
let sink: NativeBuffer | undefined;

/**
 * Takes frames off the stream, whatever part of one comes at a time, and lays their runs down where they belong after
 * asking for each whether it may.
 */
export class FrameReader {
  readonly #socket: Socket;
  readonly #events: FrameReaderEvents;
  readonly #landing: Landing | undefined;
  readonly #header = NativeBuffer.allocate(SENDER_HEADER_BYTES);
  readonly #table = NativeBuffer.allocate(MAX_FRAME_RUNS * RUN_BYTES);
  readonly #vector = IovecArena.allocate(MAX_FRAME_RUNS);
  #phase: "header" | "table" | "data" | "discard" = "header";
  #filled = 0;
  #firstRun = 0;
  #discardLeft = 0;

  constructor(socket: Socket, events: FrameReaderEvents, landing?: Landing) {
    this.#socket = socket;
    this.#events = events;
    this.#landing = landing;
  }

  /**
   * Reads once: the bytes that came, 0 at the end of the stream, WOULD_BLOCK. Throws FrameError, LibcError.
   */
  read(): number {
    switch (this.#phase) {
      case "header":
        return this.#fill(this.#header, SENDER_HEADER_BYTES, () => this.#onHeader());
      case "table":
        return this.#fill(this.#table, this.#runCount * RUN_BYTES, () => this.#onTable());
      case "data":
        return this.#readData();
      case "discard":
        return this.#readDiscarded();
    }
  }

  close(): void {
    this.#landing?.close();
  }

  /** The room's data must not be placed any more, from this moment on. */
  discard(tag: RoomTag): void {
    if (this.#phase !== "data" || this.#tag !== tag) return;
    this.#discardLeft = this.#vector.bytes;
    this.#phase = "discard";
  }

  get #tag(): RoomTag {
    return this.#header.u32[1]!;
  }

  get #runCount(): number {
    return this.#header.u32[2]!;
  }

  get #dataBytes(): number {
    return this.#header.getAddress(16);
  }

  #fill(into: NativeBuffer, wanted: number, onFull: () => void): number {
    const got = this.#socket.receive(into.address + this.#filled, wanted - this.#filled);
    if (got <= 0) return got;
    this.#filled += got;
    if (this.#filled === wanted) {
      this.#filled = 0;
      onFull();
    }
    return got;
  }

  #onHeader(): void {
    const type = this.#header.u32[0]!;
    if (type === SenderFrame.ALIVE) return;
    if (type === SenderFrame.FENCED) {
      this.#events.fenced(this.#tag);
      return;
    }
    if (type !== SenderFrame.DATA) throw new FrameError(`expected a frame, not type ${type}`);
    const runs = this.#runCount;
    const bytes = this.#dataBytes;
    if (runs > MAX_FRAME_RUNS) throw new FrameError(`expected at most ${MAX_FRAME_RUNS} runs in a frame, not ${runs}`);
    if (bytes > MAX_FRAME_BYTES)
      throw new FrameError(`expected at most ${MAX_FRAME_BYTES} bytes in a frame, not ${bytes}`);
    if (runs > 0) this.#phase = "table";
    else if (bytes > 0) throw new FrameError(`a frame of ${bytes} bytes without a run`);
    else this.#begin();
  }

  #onTable(): void {
    const runs = this.#runCount;
    this.#vector.clear();
    for (let i = 0; i < runs; i++) {
      this.#vector.push(this.#table.getAddress(i * RUN_BYTES), this.#table.getAddress(i * RUN_BYTES + 8));
    }
    const bytes = this.#dataBytes;
    if (this.#vector.bytes !== bytes) {
      throw new FrameError(`runs of ${this.#vector.bytes} bytes in a frame of ${bytes}`);
    }
    this.#begin();
  }

  #begin(): void {
    const tag = this.#tag;
    const verdict = this.#events.judge(tag);
    if (verdict === "wrong") throw new FrameError(`data for room tag ${tag}, which is not expected`);
    this.#discardLeft = this.#dataBytes;
    if (verdict === "discard") this.#phase = "discard";
    else {
      this.#checkRuns(tag);
      if (this.#landing && this.#dataBytes > 0) {
        this.#vector.clear();
        this.#vector.push(this.#landing.take(this.#dataBytes), this.#dataBytes);
      }
      this.#phase = "data";
      this.#firstRun = 0;
    }
    if (this.#discardLeft === 0) this.#endFrame();
  }

  #checkRuns(tag: RoomTag): void {
    if (this.#runCount === 0) return;
    const { count } = this.#vector;
    for (let i = 0; i < count; i++) {
      const address = this.#vector.addressAt(i);
      const length = this.#vector.lengthAt(i);
      if (this.#events.mayWrite(tag, address, length)) continue;
      throw new FrameError(`${length} bytes at ${address} are not room tag ${tag}'s to write`);
    }
  }

  #readData(): number {
    const got = this.#socket.receiveVector(this.#vector, this.#firstRun);
    if (got <= 0) return got;
    this.#firstRun = this.#vector.advance(this.#firstRun, got);
    if (this.#vector.bytes === 0) this.#endFrame();
    return got;
  }

  #readDiscarded(): number {
    sink ??= NativeBuffer.allocate(SINK_BYTES);
    const got = this.#socket.receive(sink.address, Math.min(this.#discardLeft, SINK_BYTES));
    if (got <= 0) return got;
    this.#discardLeft -= got;
    if (this.#discardLeft === 0) this.#endFrame();
    return got;
  }

  #endFrame(): void {
    const placed = this.#phase === "data";
    const flags = this.#header.u32[3]!;
    const tag = this.#tag;
    this.#phase = "header";
    if (placed && this.#dataBytes > 0) {
      const at = (run: number, field: number): number => this.#table.getAddress(run * RUN_BYTES + field);
      this.#landing?.place(
        this.#runCount,
        (run) => at(run, 0),
        (run) => at(run, 8),
      );
    }
    if (flags & DataFlag.ENDS_BATCH) this.#events.batchEnded(tag);
    if (placed && flags & DataFlag.ENDS_ROOM) this.#events.roomEnded(tag, this.#header.getAddress(24));
  }
}
