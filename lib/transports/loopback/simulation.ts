/** A virtual clock and a seeded source of chance: the same seed gives the same history. */
export class Simulation {
  readonly seed: number;
  #now = 0;
  #sequence = 0;
  #state: number;
  readonly #heap: Event[] = [];

  constructor(seed: number) {
    this.seed = seed;
    this.#state = (seed ^ 0x9e37_79b9) >>> 0;
  }

  /** Milliseconds. */
  get now(): number {
    return this.#now;
  }

  get pending(): number {
    return this.#heap.length;
  }

  /** Uniform in [0, 1): mulberry32. */
  random(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.random();
  }

  /** An integer from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  at(time: number, run: () => void): void {
    push(this.#heap, { time: Math.max(time, this.#now), sequence: this.#sequence++, run });
  }

  after(delay: number, run: () => void): void {
    this.at(this.#now + delay, run);
  }

  /** Runs what is due until `done()` holds or `limit` ms of virtual time have passed; true if it held. */
  run(done: () => boolean, limit: number): boolean {
    const end = this.#now + limit;
    while (!done()) {
      const next = this.#heap[0];
      if (!next || next.time > end) {
        this.#now = end;
        return done();
      }
      pop(this.#heap);
      this.#now = next.time;
      next.run();
    }
    return true;
  }
}

interface Event {
  readonly time: number;
  /** Events of one time run in the order in which they were made. */
  readonly sequence: number;
  readonly run: () => void;
}

function before(a: Event, b: Event): boolean {
  return a.time < b.time || (a.time === b.time && a.sequence < b.sequence);
}

function push(heap: Event[], event: Event): void {
  let at = heap.push(event) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(event, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: Event[]): void {
  const event = heap.pop()!;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
    if (!before(heap[child]!, event)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = event;
}
