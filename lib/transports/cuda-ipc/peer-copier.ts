import type { Device, Event } from "../../../cuda/index.ts";
import { type CopySide, RunCopier, type RunCopierOptions, RunSlot, TABLE_RUNS } from "../gpu/index.ts";
import type { QueuedBatch } from "../pairs/index.ts";
import type { Copier } from "./copier.ts";
import { type Turn, Turns } from "./turns.ts";

const TURNS = 4;
/** A fraction of a millisecond over NVLink. */
const TURN_BYTES = 64 * 1024 * 1024;

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

/**
 * Straight from this GPU's memory into the other's, or into other pages of the same. Turns go to two streams in turn, so that
 * one begins where the one before it thins out.
 */
export class PeerCopier implements Copier {
  readonly repeatsGroups = true;
  readonly #copiers: readonly [RunCopier, RunCopier];
  readonly #turns: Turns<PeerTurn>;

  constructor(side: CopySide, target: Device, options: RunCopierOptions) {
    const open = () => new RunCopier(side, options, target !== side.device);
    this.#copiers = [open(), open()];
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
    const copier = this.#copiers[this.#turns.begun & 1]!;
    return this.#turns.launch(copier.stream, (turn) => {
      turn.table.take(range);
      copier.submit(turn);
    });
  }

  close(): void {
    for (const copier of this.#copiers) copier.close();
    this.#turns.close();
  }
}
