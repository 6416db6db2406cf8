import type { Event, PinnedMemory } from "../../../cuda/index.ts";
import { type CopySide, RunCopier, type RunCopierOptions, RunSlot, TABLE_RUNS } from "../gpu/index.ts";
import type { QueuedBatch } from "../pairs/index.ts";
import type { Copier } from "./copier.ts";
import { type Turn, Turns } from "./turns.ts";

const TURNS = 4;
const CHUNK_BYTES = 8 * 1024 * 1024;

/** A turn by way of the host: a piece of the ring, the table that fills it and the table that empties it. */
class StagedTurn implements Turn {
  readonly gather: RunSlot;
  readonly scatter: RunSlot;
  readonly chunk: PinnedMemory;
  readonly filled: Event;
  readonly done: Event;

  constructor(source: CopySide, destination: CopySide) {
    this.gather = new RunSlot(source.device);
    this.scatter = new RunSlot(destination.device);
    this.chunk = source.device.allocatePinned(CHUNK_BYTES);
    this.filled = source.device.createEvent();
    this.done = destination.device.createEvent();
  }

  /** Takes as much as there is place for. */
  take({ pages }: QueuedBatch): void {
    const { gather, scatter, chunk } = this;
    gather.table.clear();
    scatter.table.clear();
    pages.advance(CHUNK_BYTES, {
      add(source, destination, byteLength) {
        if (gather.table.runs === TABLE_RUNS) return false;
        const place = chunk.address + gather.table.bytes;
        gather.table.add(source, place, byteLength);
        scatter.table.add(place, destination, byteLength);
        return true;
      },
    });
  }

  close(): void {
    for (const one of [this.gather, this.scatter, this.chunk, this.filled, this.done]) one.close();
  }
}

/**
 * Between GPUs that do not reach each other: gathered into a ring of pinned host memory on the source's stream, scattered
 * from it on the destination's, one piece filled while others are emptied. Every byte crosses the host once.
 */
export class StagedCopier implements Copier {
  readonly repeatsGroups = false;
  readonly #in: RunCopier;
  readonly #out: RunCopier;
  readonly #turns: Turns<StagedTurn>;

  constructor(source: CopySide, destination: CopySide, options: RunCopierOptions) {
    this.#in = new RunCopier(source, options, true);
    this.#out = new RunCopier(destination, options, true);
    this.#turns = new Turns(Array.from({ length: TURNS }, () => new StagedTurn(source, destination)));
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

  begin(batch: QueuedBatch): number {
    if (batch.pages.done) return this.#turns.begun;
    return this.#turns.launch(this.#out.stream, (turn) => {
      turn.take(batch);
      this.#in.submit(turn.gather);
      turn.filled.record(this.#in.stream);
      this.#out.stream.waitFor(turn.filled);
      this.#out.submit(turn.scatter);
    });
  }

  close(): void {
    this.#in.close();
    this.#out.close();
    this.#turns.close();
  }
}
