import type { Event, Stream } from "../../../cuda/index.ts";

/** What one turn uses until its event is reached. */
export interface Turn {
  readonly done: Event;
  close(): void;
}

/** Turns under way, in order, and those to be had: a fixed number, so that what is begun is over within milliseconds. */
export class Turns<T extends Turn> {
  readonly #free: T[];
  readonly #flying: { readonly turn: T; readonly number: number }[] = [];
  #begun = 0;
  #passed = 0;

  constructor(turns: readonly T[]) {
    this.#free = [...turns];
  }

  get begun(): number {
    return this.#begun;
  }

  get passed(): number {
    this.#reap();
    return this.#passed;
  }

  get ready(): boolean {
    return this.#free.length > 0 || this.#reap();
  }

  /** Fills a free turn and marks what it submitted to `stream` as its end; its number. */
  launch(stream: Stream, fill: (turn: T) => void): number {
    const turn = this.#free[0]!;
    fill(turn);
    turn.done.record(stream);
    this.#free.shift();
    this.#flying.push({ turn, number: ++this.#begun });
    return this.#begun;
  }

  /** Takes back the turns that are over; true if there was one. */
  #reap(): boolean {
    let reaped = false;
    while (this.#flying.length > 0 && this.#flying[0]!.turn.done.reached()) {
      const { turn, number } = this.#flying.shift()!;
      this.#passed = number;
      this.#free.push(turn);
      reaped = true;
    }
    return reaped;
  }

  close(): void {
    for (const turn of [...this.#free, ...this.#flying.map((one) => one.turn)]) turn.close();
  }
}
