/** Ids under one middle part: the low part is a 31-bit number of eight hex digits, which is cheap to write. */
const FIRST = 0x10000000;
const LAST = 0x7fffffff;

/**
 * Request ids of our own for the engines: one width, no one the prefix of another, because `/abort_request` matches by
 * prefix. 22 characters: `kv`, 8 hex digits of a random epoch, 4 that count the rounds, 8 of a counter.
 */
export class RequestIds {
  readonly #epoch: string;
  #round = 0;
  #prefix: string;
  #counter = FIRST;

  constructor(random: () => number = Math.random) {
    const epoch = Math.floor(random() * 2 ** 32).toString(16);
    this.#epoch = `kv${epoch.padStart(8, "0")}`;
    this.#prefix = `${this.#epoch}0000`;
  }

  next(): string {
    if (this.#counter === LAST) {
      this.#counter = FIRST;
      this.#round = (this.#round + 1) % 0x10000;
      this.#prefix = this.#epoch + this.#round.toString(16).padStart(4, "0");
    }
    this.#counter++;
    return this.#prefix + this.#counter.toString(16);
  }
}
