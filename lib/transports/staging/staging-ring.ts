import type { Event, PinnedMemory } from "../../../cuda/index.ts";
import { type CopySide, RunCopier, RunSlot, TABLE_RUNS } from "../gpu/index.ts";
import type { WritePlan } from "../../planner/index.ts";
import type { QueuedBatch } from "../pairs/index.ts";

const PIECES = 4;
const PIECE_BYTES = 4 * 1024 * 1024;
/** Over PCIe to the host a kernel is faster than the copy engines only where runs are short. */
const KERNEL_BELOW_BYTES = 64 * 1024;

/** Pinned memory that pages are gathered into, until a transport has sent it. */
export class Piece {
  readonly slot: RunSlot;
  readonly filled: Event;
  readonly #memory: PinnedMemory;
  #destinations: number[] = [];

  constructor({ device }: CopySide) {
    this.slot = new RunSlot(device);
    this.filled = device.createEvent();
    this.#memory = device.allocatePinned(PIECE_BYTES);
  }

  /** Takes the batch's next pages, as many as there is place for; where they are to go from here. */
  take({ pages }: QueuedBatch): WritePlan {
    const { table } = this.slot;
    table.clear();
    this.#destinations = [];
    pages.advance(PIECE_BYTES, {
      add: (source, destination, byteLength) => {
        if (table.runs === TABLE_RUNS) return false;
        table.add(source, this.#memory.address + table.bytes, byteLength);
        this.#destinations.push(destination);
        return true;
      },
    });
    const count = table.runs;
    const length = table.length.slice();
    return {
      writeCount: count,
      bytes: table.bytes,
      destination: Float64Array.from(this.#destinations),
      length,
      firstSegment: Uint32Array.from({ length: count }, (_, i) => i),
      segmentCount: new Uint32Array(count).fill(1),
      segmentCountTotal: count,
      segmentSource: table.destination.slice(),
      segmentLength: length,
    };
  }

  close(): void {
    for (const one of [this.slot, this.filled, this.#memory]) one.close();
  }
}

/** A fixed number of pieces: some being filled by the GPU, others being sent. */
export class StagingRing {
  readonly #copier: RunCopier;
  readonly #free: Piece[];
  readonly #all: readonly Piece[];

  constructor(side: CopySide) {
    this.#copier = new RunCopier(side, { kernelBelowBytes: KERNEL_BELOW_BYTES }, true);
    this.#all = Array.from({ length: PIECES }, () => new Piece(side));
    this.#free = [...this.#all];
  }

  get ready(): boolean {
    return this.#free.length > 0;
  }

  /** Begins to gather the batch's next pages. */
  fill(queued: QueuedBatch): { readonly piece: Piece; readonly plan: WritePlan } {
    const piece = this.#free.pop()!;
    const plan = piece.take(queued);
    this.#copier.submit(piece.slot);
    piece.filled.record(this.#copier.stream);
    return { piece, plan };
  }

  giveBack(piece: Piece): void {
    this.#free.push(piece);
  }

  close(): void {
    this.#copier.close();
    for (const piece of this.#all) piece.close();
  }
}
