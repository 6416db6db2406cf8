import type { CopyKernels, Device, DeviceMemory, Event, PinnedMemory, Stream } from "../../../cuda/index.ts";
import type { QueuedBatch, SegmentSink } from "../pairs/index.ts";
import type { Copier } from "./copier.ts";
import { RunCopier, type RunCopierOptions } from "./run-copier.ts";
import { RunTable, TABLE_RUNS } from "./run-table.ts";
import { Turn, Turns } from "./turns.ts";

const TURNS = 4;
const CHUNK_BYTES = 8 * 1024 * 1024;

/** A turn by way of the host: a piece of the ring, the table that fills it and the table that empties it. */
class StagedTurn extends Turn {
  readonly chunk: PinnedMemory;
  readonly outTable: RunTable;
  readonly outMirror: DeviceMemory;
  readonly filled: Event;

  constructor(source: Device, destination: Device) {
    super(source, destination);
    this.chunk = source.allocatePinned(CHUNK_BYTES);
    this.outTable = new RunTable(destination);
    this.outMirror = destination.allocate(3 * TABLE_RUNS * 8);
    this.filled = source.createEvent();
  }

  override close(): void {
    super.close();
    this.chunk.close();
    this.outTable.close();
    this.outMirror.close();
    this.filled.close();
  }
}

export interface StagedSide {
  readonly device: Device;
  readonly kernels: CopyKernels | undefined;
}

/**
 * Between GPUs that do not reach each other: gathered into a ring of pinned host memory on the source's stream, scattered
 * from it on the destination's, one piece filled while others are emptied. Every byte crosses the host once.
 */
export class StagedCopier implements Copier {
  readonly #in: Stream;
  readonly #out: Stream;
  readonly #gather: RunCopier;
  readonly #scatter: RunCopier;
  readonly #turns: Turns<StagedTurn>;

  constructor(source: StagedSide, destination: StagedSide, options: RunCopierOptions) {
    this.#in = source.device.createStream();
    this.#out = destination.device.createStream();
    this.#gather = new RunCopier(source.kernels, options);
    this.#scatter = new RunCopier(destination.kernels, options);
    const make = (): StagedTurn => new StagedTurn(source.device, destination.device);
    this.#turns = new Turns(Array.from({ length: TURNS }, make));
  }

  get ready(): boolean {
    return this.#turns.ready;
  }

  get begun(): number {
    return this.#turns.begun;
  }

  get passed(): number {
    return this.#turns.passed;
  }

  begin({ pages }: QueuedBatch): number {
    if (pages.done) return this.#turns.begun;
    const turn = this.#turns.next();
    const { table, outTable, chunk } = turn;
    table.clear();
    outTable.clear();
    const sink: SegmentSink = {
      add(source, destination, byteLength) {
        if (table.count === TABLE_RUNS) return false;
        const place = chunk.address + table.bytes;
        outTable.add(place, destination, byteLength);
        table.add(source, place, byteLength);
        return true;
      },
    };
    pages.advance(CHUNK_BYTES, sink);
    this.#gather.submit(this.#in, table, turn.mirror);
    turn.filled.record(this.#in);
    this.#out.waitFor(turn.filled);
    this.#scatter.submit(this.#out, outTable, turn.outMirror);
    return this.#turns.launch(turn, this.#out);
  }

  close(): void {
    this.#in.close();
    this.#out.close();
    this.#turns.close();
  }
}
