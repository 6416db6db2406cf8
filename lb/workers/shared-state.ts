/** What all threads know of one worker: 32-bit cells in shared memory. */
export const CELL = {
  used: 0,
  requests: 1,
  tokens: 2,
  down: 3,
  draining: 4,
  breaker: 5,
  failures: 6,
  successes: 7,
  /** When the breaker opened, or its window began, in ticks. */
  since: 8,
  /** When a half-open breaker's trial began, in ticks; 0: none runs. */
  trial: 9,
} as const;

const CELLS = 16;
const SLOTS = 1024;
/** ms: 2^31 ticks are eight months. */
const TICK = 10;

/** The state that several serving threads share: load, breakers, health and admission, so that none balances blind. */
export class SharedState {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array<SharedArrayBuffer>;
  readonly #epoch: number;

  constructor(buffer = new SharedArrayBuffer(CELLS * SLOTS * 4 + 16), epoch = Date.now() - TICK) {
    this.buffer = buffer;
    this.#cells = new Int32Array(buffer);
    this.#epoch = epoch;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Requests being served by all threads together. */
  get active(): Int32Array<SharedArrayBuffer> {
    return this.#cells.subarray(CELLS * SLOTS, CELLS * SLOTS + 1);
  }

  /** Now, in ticks, the same for all threads. Never 0. */
  ticks(): number {
    return Math.floor((Date.now() - this.#epoch) / TICK);
  }

  static ticksOf(ms: number): number {
    return Math.ceil(ms / TICK);
  }

  /** Takes a free slot. */
  allocate(): number {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (Atomics.compareExchange(this.#cells, slot * CELLS, 0, 1) === 0) return slot;
    }
    throw new RangeError(`expected at most ${SLOTS} workers`);
  }

  cells(slot: number): Int32Array<SharedArrayBuffer> {
    return this.#cells.subarray(slot * CELLS, (slot + 1) * CELLS);
  }

  /** Clears a slot for the next worker. */
  free(slot: number): void {
    this.cells(slot).fill(0);
  }
}
