import type { KVTransferError } from "../../errors.ts";
import type { PairErrors } from "../pairs/index.ts";
import type { RoomTag } from "../transport.ts";
import type { Alarms } from "./alarms.ts";
import { Fences } from "./fences.ts";
import type { Lane } from "./lane.ts";

export interface RevocationSetup {
  readonly errors: PairErrors;
  readonly alarms: Alarms;
  readonly now: () => number;
  readonly fenceGraceMs: number;
  /** Whether rooms have keys of their own. */
  readonly takesKeys: boolean;
  /** The room may be written to no more. */
  fenced(tag: RoomTag): void;
  /** The sender does not answer: its queue pairs must go. */
  lost(error: KVTransferError): void;
}

/** The rooms that the receiver has taken back, until the sender can write to them no more; it has not for ever to say so. */
export class Revocations {
  readonly #setup: RevocationSetup;
  /** From then on the sender may tell of rooms that were taken back. */
  hasTakenKeys = false;
  readonly #fences = new Fences();
  /** Rooms that were fenced without the sender. */
  readonly #unheard = new Set<RoomTag>();
  #heardAt = 0;
  #stopGrace: (() => void) | undefined;

  constructor(setup: RevocationSetup) {
    this.#setup = setup;
  }

  get size(): number {
    return this.#fences.size;
  }

  /** What the sender is not known to have heard of. */
  get tags(): readonly RoomTag[] {
    return [...this.#fences.tags, ...this.#unheard];
  }

  has(tag: RoomTag): boolean {
    return this.#fences.has(tag);
  }

  /** The sender has shown that it runs. */
  heard(): void {
    this.#heardAt = this.#setup.now();
  }

  /** By these lanes something may still land for the room. */
  add(tag: RoomTag, lanes: Iterable<Lane>): void {
    const { alarms, now, fenceGraceMs } = this.#setup;
    this.#fences.add(tag, now(), lanes);
    this.#stopGrace ??= alarms.after(fenceGraceMs, () => this.#onGrace());
  }

  /** The sender has said that it writes no more to the room on the lane. */
  answered(tag: RoomTag, lane: Lane): void {
    this.#unheard.delete(tag);
    this.#release(tag, lane);
  }

  /** Nothing more comes by the lane for the room. */
  #release(tag: RoomTag, lane: Lane): void {
    if (this.#fences.release(tag, lane)) this.#setup.fenced(tag);
  }

  /** Nothing more comes by the lane at all. */
  releaseAll(lane: Lane): void {
    for (const tag of this.#fences.releaseAll(lane)) this.#setup.fenced(tag);
  }

  close(): void {
    this.#stopGrace?.();
    this.#stopGrace = undefined;
    this.#fences.clear();
    this.#unheard.clear();
  }

  /**
   * Does a sender that was asked to stop still show that it runs? If not, its way to our memory is closed: for the room
   * alone, where that has keys of its own, and if that does not help, too, for all.
   */
  #onGrace(): void {
    this.#stopGrace = undefined;
    const { now, fenceGraceMs, errors, alarms, lost, takesKeys } = this.#setup;
    for (;;) {
      const room = this.#fences.oldest(this.#heardAt, fenceGraceMs);
      if (!room) return;
      const left = room.until - now();
      if (left > 0) {
        this.#stopGrace ??= alarms.after(left, () => this.#onGrace());
        return;
      }
      if (!takesKeys || room.keysTaken) {
        const message = `no answer to a revoked room in ${Math.round(now() - room.since)} ms; the queue pairs were closed`;
        return lost(errors.lost("fence", message, { status: "ETIMEDOUT" }));
      }
      this.hasTakenKeys = true;
      this.#unheard.add(room.tag);
      for (const lane of this.#fences.takeKeys(room.tag, now())) {
        lane.takeKeys(room.tag, () => this.#release(room.tag, lane));
      }
    }
  }
}
