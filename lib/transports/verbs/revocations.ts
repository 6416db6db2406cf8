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
  /** The room may be written to no more. */
  fenced(tag: RoomTag): void;
  /** The sender does not answer: its queue pairs must go. */
  lost(error: KVTransferError): void;
}

/** The rooms that the receiver has taken back, until the sender can write to them no more; it has not for ever to say so. */
export class Revocations {
  readonly #setup: RevocationSetup;
  readonly #fences = new Fences();
  #heardAt = 0;
  #stopGrace: (() => void) | undefined;

  constructor(setup: RevocationSetup) {
    this.#setup = setup;
  }

  get size(): number {
    return this.#fences.size;
  }

  get tags(): readonly RoomTag[] {
    return this.#fences.tags;
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

  /** Nothing more comes by the lane for the room. */
  release(tag: RoomTag, lane: Lane): void {
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
  }

  /** Does a sender that was asked to stop still show that it runs? If not, its way to our memory is closed. */
  #onGrace(): void {
    this.#stopGrace = undefined;
    if (this.#fences.size === 0) return;
    const { now, fenceGraceMs, errors, alarms, lost } = this.#setup;
    const { at, oldest } = this.#fences.patienceEndsAt(this.#heardAt, fenceGraceMs);
    const left = at - now();
    if (left > 0) this.#stopGrace = alarms.after(left, () => this.#onGrace());
    else {
      const message = `no answer to a revoked room in ${Math.round(now() - oldest)} ms; the queue pairs were closed`;
      lost(errors.lost("fence", message, { status: "ETIMEDOUT" }));
    }
  }
}
