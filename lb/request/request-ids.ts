/**
 * Request ids of our own for the engines: one width, no one the prefix of another, because `/abort_request` matches by
 * prefix. 22 characters: `kv`, 8 hex digits of a random epoch, 12 of a counter.
 */
export class RequestIds {
  readonly #prefix: string;
  #counter = 0;

  constructor(random: () => number = Math.random) {
    this.#prefix = `kv${Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, "0")}`;
  }

  next(): string {
    this.#counter++;
    return this.#prefix + this.#counter.toString(16).padStart(12, "0");
  }
}
