import type { Event } from "../../../cuda/index.ts";
import { type CopySide, RunCopier, type RunCopierOptions, RunSlot, TABLE_RUNS } from "../gpu/index.ts";
import type { QueuedBatch } from "../pairs/index.ts";
import type { Copier } from "./copier.ts";
import { type Turn, Turns } from "./turns.ts";

const TURNS = 4;
/** A fraction of a millisecond over NVLink. */
const TURN_BYTES = 256 * 1024 * 1024;

class PeerTurn extends RunSlot implements Turn {
  readonly done: Event;

  constructor({ device }: CopySide) {
    super(device);
    this.done = device.createEvent();
  }

  override close(): void {
    super.close();
    this.done.close();
  }
}

/** Straight from this GPU's memory into the other's, or into other pages of the same. */
export class PeerCopier implements Copier {
  readonly #runs: RunCopier;
  readonly #turns: Turns<PeerTurn>;

  constructor(side: CopySide, options: RunCopierOptions) {
    this.#runs = new RunCopier(side, options);
    this.#turns = new Turns(Array.from({ length: TURNS }, () => new PeerTurn(side)));
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
    const range = pages.takeGroup(TABLE_RUNS, TURN_BYTES);
    if (range === undefined) return this.#turns.begun;
    return this.#turns.launch(this.#runs.stream, (turn) => {
      turn.table.take(range);
      this.#runs.submit(turn);
    });
  }

  close(): void {
    this.#runs.close();
    this.#turns.close();
  }
}
