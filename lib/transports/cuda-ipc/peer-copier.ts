import type { CopyKernels, Device, Stream } from "../../../cuda/index.ts";
import type { QueuedBatch } from "../pairs/index.ts";
import type { Copier } from "./copier.ts";
import { RunCopier, type RunCopierOptions } from "./run-copier.ts";
import { TABLE_RUNS } from "./run-table.ts";
import { Turn, Turns } from "./turns.ts";

const TURNS = 4;
/** A fraction of a millisecond over NVLink. */
const TURN_BYTES = 128 * 1024 * 1024;

/** Straight from this GPU's memory into the other's, or into other pages of the same. */
export class PeerCopier implements Copier {
  readonly #stream: Stream;
  readonly #runs: RunCopier;
  readonly #turns: Turns<Turn>;

  constructor(device: Device, kernels: CopyKernels | undefined, options: RunCopierOptions) {
    this.#stream = device.createStream();
    this.#runs = new RunCopier(kernels, options);
    this.#turns = new Turns(Array.from({ length: TURNS }, () => new Turn(device, device)));
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

  begin({ batch, pages }: QueuedBatch): number {
    const { from, to } = pages.takeWrites(TABLE_RUNS, TURN_BYTES);
    if (from === to) return this.#turns.begun;
    const turn = this.#turns.next();
    turn.table.take(batch.plan, from, to);
    this.#runs.submit(this.#stream, turn.table, turn.mirror);
    return this.#turns.launch(turn, this.#stream);
  }

  close(): void {
    this.#stream.close();
    this.#turns.close();
  }
}
