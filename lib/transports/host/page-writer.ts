import type { QueuedBatch, SegmentSink } from "../pairs/index.ts";
import type { OutboundEnd } from "../transport.ts";
import type { Region } from "./frames.ts";

/**
 * How the sender reaches the receiver's memory: all that differs between the transports of one host. What is begun has a
 * number, and {@link passed} follows; writers that are done when they return give and answer 0.
 */
export interface PageWriter {
  /** Which of its ways the writer took, and why; for logs. */
  readonly how?: string;
  /** Where each of the receiver's buffers stands seen from here; undefined: at the receiver's own addresses. */
  readonly destinationBases: Float64Array | undefined;
  readonly repeatsGroups?: OutboundEnd["repeatsGroups"];
  /** Puts bytes into the scratch place of the handshake: they are there when this returns. */
  writeScratch(source: number, byteLength: number): void;
  /** Whether another turn may be begun. */
  readonly ready: boolean;
  /** Begins to write the batch's next pages, a fraction of a millisecond's worth; the turn's number. */
  writePages(batch: QueuedBatch): number;
  /** Writes the batch's aux slot, behind its pages, which are in place: so is the slot when this returns. */
  writeAux(batch: QueuedBatch): void;
  /** The number of the turn begun last. */
  readonly begun: number;
  /** Turns up to this one are in place. Throws what went wrong with one. */
  readonly passed: number;
  /** Work that makes later writes faster, for when there is nothing to write. True: there is more of it. */
  prepare(): boolean;
  /** Nothing of this writer is written any more when this returns; throws where that cannot be said. */
  close(): void;
}

/** A region as it came, with the descriptor that was handed over for it. */
export interface GrantedRegion extends Region {
  readonly fd?: number;
}

export interface PageWriterFactory {
  /** `regions[0]` is the scratch place. The descriptors are closed by the caller afterwards. */
  open(receiverPid: number, regions: readonly GrantedRegion[]): PageWriter;
}

/**
 * Bytes that one room may write before it is another's turn: a fraction of a millisecond, also in pages of 4 KiB. And
 * glibc's memcpy of twice as much goes past the cache, at two thirds of the speed.
 */
const TURN_BYTES = 512 * 1024;

/**
 * A writer whose copies are made by this thread: everything is in place whenever anyone asks. The aux slot goes right behind
 * its pages, and what small batches have added goes with one call.
 */
export abstract class CopyingWriter implements PageWriter, SegmentSink {
  abstract readonly destinationBases: Float64Array | undefined;
  abstract readonly scratch: number;
  readonly ready = true;
  /** Nothing is ever under way between two calls from outside. */
  readonly begun = 0;
  #added = 0;

  abstract add(source: number, destination: number, byteLength: number): boolean;
  /** Everything added is in place when this returns. Throws LibcError. */
  protected abstract flush(): void;
  /** How much of a piece, and of what follows it, is one turn. */
  protected turnBytes(_pieceBytes: number): number {
    return TURN_BYTES;
  }

  abstract prepare(): boolean;
  abstract close(): void;

  get passed(): number {
    this.#flushAdded();
    return 0;
  }

  writeScratch(source: number, byteLength: number): void {
    this.add(source, this.scratch, byteLength);
    this.flush();
  }

  writePages(batch: QueuedBatch): number {
    let left = this.turnBytes(batch.pages.pieceLeft);
    while (left > 0 && !batch.done) {
      const moved = batch.advance(left, this);
      left -= moved;
      this.#added += moved;
      // What is cut off here goes at once: only whole batches may wait for others.
      if (this.#added >= TURN_BYTES || !batch.done) this.#flushAdded();
    }
    return 0;
  }

  writeAux(batch: QueuedBatch): void {
    while (!batch.done) {
      this.#added += batch.advance(Infinity, this);
      this.#flushAdded();
    }
  }

  #flushAdded(): void {
    if (this.#added === 0) return;
    this.#added = 0;
    this.flush();
  }
}
