/** Numbers from 0 up to a limit, each lent to one holder at a time. */
export class SlotAllocator {
  readonly #free: number[];

  constructor(count: number) {
    this.#free = Array.from({ length: count }, (_, slot) => count - 1 - slot);
  }

  get free(): number {
    return this.#free.length;
  }

  /** Undefined while all are lent. */
  take(): number | undefined {
    return this.#free.pop();
  }

  giveBack(slot: number): void {
    this.#free.push(slot);
  }
}
