const COUNTER = 2 ** 32;
/** 2^21 - 1 epochs above a 32-bit counter: every room is an exact JavaScript number of at most 2^53 - 1. */
const EPOCHS = 2 ** 21 - 1;

/**
 * Bootstrap rooms that never repeat: a random epoch (never 0, so no room is 0) above a counter. Consecutive numbers
 * spread evenly over `room % dpSize`, which is how SGLang's classic scheduler picks a prefill rank.
 */
export class RoomIds {
  #epoch: number;
  #counter: number;

  constructor(random: () => number = Math.random) {
    this.#epoch = 1 + Math.floor(random() * EPOCHS);
    this.#counter = Math.floor(random() * COUNTER);
  }

  next(): number {
    if (++this.#counter >= COUNTER) {
      this.#counter = 0;
      this.#epoch = this.#epoch === EPOCHS ? 1 : this.#epoch + 1;
    }
    return this.#epoch * COUNTER + this.#counter;
  }

  /** The next room that falls on one data-parallel rank. */
  nextForRank(rank: number, dpSize: number): number {
    let room = this.next();
    while (room % dpSize !== rank) room = this.next();
    return room;
  }
}
