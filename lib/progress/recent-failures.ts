import type { KVTransferError } from "../errors.ts";

const KEPT = 4_096;
const KEPT_MS = 60_000;

/** Rooms that failed lately, so that whoever asks for one late is told at once instead of waiting. Bounded. */
export class RecentFailures {
  readonly #failures = new Map<number, { readonly error: KVTransferError; readonly at: number }>();

  add(room: number, error: KVTransferError, now: number): void {
    this.#failures.delete(room);
    this.#failures.set(room, { error, at: now });
    if (this.#failures.size > KEPT) this.#failures.delete(this.#failures.keys().next().value!);
  }

  /** The number is used anew. */
  forget(room: number): void {
    this.#failures.delete(room);
  }

  get(room: number, now: number): KVTransferError | undefined {
    const failure = this.#failures.get(room);
    if (!failure) return undefined;
    if (now - failure.at <= KEPT_MS) return failure.error;
    this.#failures.delete(room);
    return undefined;
  }
}
