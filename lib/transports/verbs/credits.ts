/**
 * Messages and writes with immediate each take one of the peer's receives. Both sides count what the other has posted, so
 * that a receiver is never "not ready".
 */
export class Credits {
  readonly #receives: number;
  #granted = 0;
  #most = 0;
  #owed = 0;

  /** `receives`: what this side keeps posted. */
  constructor(receives: number) {
    this.#receives = receives;
  }

  /** Messages that the peer has room for. */
  get granted(): number {
    return this.#granted;
  }

  /** Half of what the peer ever had room for. */
  get half(): number {
    return this.#most / 2;
  }

  /** The peer has told of receives that it posted. */
  grant(count: number): void {
    this.#granted += count;
    this.#most = Math.max(this.#most, this.#granted);
  }

  /** One message is added: it gives back what is owed. */
  spend(): number {
    this.#granted--;
    const owed = this.#owed;
    this.#owed = 0;
    return owed;
  }

  /** One write with immediate is added, which carries no credits. */
  spendSilently(): void {
    this.#granted--;
  }

  /** Receives have been posted again that the peer does not know of. */
  owe(count: number): void {
    this.#owed += count;
  }

  /** So many are owed that the peer may soon have none left. */
  get overdue(): boolean {
    return this.#owed >= this.#receives / 2;
  }
}
