import type { Device, DeviceMemory, Event, Stream } from "../../../cuda/index.ts";
import { RunTable, TABLE_RUNS } from "./run-table.ts";

/** What one turn uses until its event is reached. */
export class Turn {
  readonly table: RunTable;
  readonly mirror: DeviceMemory;
  readonly done: Event;
  number = 0;

  constructor(device: Device, last: Device) {
    this.table = new RunTable(device);
    this.mirror = device.allocate(3 * TABLE_RUNS * 8);
    this.done = last.createEvent();
  }

  close(): void {
    this.table.close();
    this.mirror.close();
    this.done.close();
  }
}

/** Turns under way, in order, and those to be had: a fixed number, so that what is begun is over within milliseconds. */
export class Turns<T extends Turn> {
  readonly #free: T[];
  readonly #flying: T[] = [];
  #begun = 0;
  #passed = 0;

  constructor(turns: readonly T[]) {
    this.#free = [...turns];
  }

  get begun(): number {
    return this.#begun;
  }

  get passed(): number {
    while (this.#flying.length > 0 && this.#flying[0]!.done.reached()) {
      const turn = this.#flying.shift()!;
      this.#passed = turn.number;
      this.#free.push(turn);
    }
    return this.#passed;
  }

  get ready(): boolean {
    return this.#free.length > 0;
  }

  /** A free turn, to be filled and then {@link launch}ed. */
  next(): T {
    return this.#free[0]!;
  }

  /** Marks what was submitted to `stream` as this turn's end. */
  launch(turn: T, stream: Stream): number {
    turn.done.record(stream);
    turn.number = ++this.#begun;
    this.#flying.push(turn);
    this.#free.shift();
    return turn.number;
  }

  close(): void {
    for (const turn of [...this.#free, ...this.#flying]) turn.close();
  }
}
