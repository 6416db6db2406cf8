import { PoolExhaustedError } from "../errors.ts";

/**
 * Hands out pages by number and counts who holds them: a page is free again when its last holder has released it. A
 * request holds its pages while it runs, a transfer holds them until no write can land any more.
 *
 * The free pages start in a seeded random order and come back last in, first out: a request's pages are scattered from
 * the first one on, so that nothing can come to rely on neighbouring numbers.
 */
export class PageAllocator {
  readonly pages: number;
  readonly #free: Int32Array;
  readonly #holders: Uint32Array;
  #freeCount: number;

  constructor(pages: number, seed = 1) {
    this.pages = pages;
    this.#holders = new Uint32Array(pages);
    this.#free = Int32Array.from({ length: pages }, (_, page) => page);
    this.#freeCount = pages;
    shuffle(this.#free, seed);
  }

  get free(): number {
    return this.#freeCount;
  }

  get used(): number {
    return this.pages - this.#freeCount;
  }

  /** `count` free pages, each with one holder. @throws {PoolExhaustedError} when fewer are free; none is taken then. */
  allocate(count: number): Int32Array {
    if (count > this.#freeCount) throw new PoolExhaustedError(count, this.#freeCount);
    this.#freeCount -= count;
    const taken = this.#free.slice(this.#freeCount, this.#freeCount + count);
    for (const page of taken) this.#holders[page] = 1;
    return taken;
  }

  /** One more holder for each of `pages`, which must be held already. */
  retain(pages: Int32Array): void {
    for (const page of pages) {
      if (!this.#holders[page]) throw new RangeError(`page ${page} is free: it cannot be retained`);
      this.#holders[page]!++;
    }
  }

  /** One holder fewer; pages without holders are free. Releasing a free page throws. */
  release(pages: Int32Array): void {
    for (const page of pages) {
      const holders = this.#holders[page];
      if (!holders) throw new RangeError(`page ${page} is free: it cannot be released`);
      this.#holders[page] = holders - 1;
      if (holders === 1) this.#free[this.#freeCount++] = page;
    }
  }
}

/** Fisher and Yates, driven by a 32-bit linear congruential generator (constants of Numerical Recipes). */
function shuffle(values: Int32Array, seed: number): void {
  let state = seed >>> 0;
  for (let i = values.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const j = Math.floor((state / 0x1_0000_0000) * (i + 1));
    const held = values[i]!;
    values[i] = values[j]!;
    values[j] = held;
  }
}
