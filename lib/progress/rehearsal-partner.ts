import { now } from "../clock.ts";
import type { Member } from "../protocol/index.ts";
import { KVPoll, type RoomTable, type SlotRef } from "../rooms/index.ts";
import { rehearsalPage } from "../transports/rehearsal-pool.ts";
import type { Companion } from "./loop.ts";
import type { Progress } from "./progress.ts";

const LATE_MS = 0.2;

/** The other side of rehearsed rooms: opens room 1, 2, 3 and so on, each when the last has ended. */
export class RehearsalPartner implements Companion {
  readonly #progress: Progress;
  readonly #table: RoomTable;
  readonly #role: Member["role"];
  readonly #registry: string;
  #room = 0;
  #nextAt = 0;
  #ref: SlotRef | undefined;

  constructor(progress: Progress, table: RoomTable, role: Member["role"], registry: string) {
    this.#progress = progress;
    this.#table = table;
    this.#role = role;
    this.#registry = registry;
  }

  get wakeAt(): number {
    return this.#progress.wakeAt;
  }

  step(): boolean {
    const state = this.#ref && this.#table.state(this.#ref);
    if (state === KVPoll.Success) this.#leave(this.#ref!);
    if (!this.#ref && now() >= this.#nextAt) this.#enter();
    // What it waits for is nearer than poll's milliseconds.
    return this.#progress.step() || !this.#ref;
  }

  /** It opens its side of a room now before, now after the engine's thread opens the other. */
  #leave(ref: SlotRef): void {
    this.#progress.execute({ op: "clear", ref });
    this.#ref = undefined;
    this.#nextAt = now() + (this.#room % 2) * LATE_MS;
  }

  #enter(): void {
    const room = ++this.#room;
    const ref = (this.#ref = this.#table.acquire(room, now()));
    const page = Int32Array.of(rehearsalPage(room));
    const auxIndex = rehearsalPage(room + 1);
    if (this.#role === "prefill") {
      this.#progress.execute({ op: "open-sender", ref, room });
      this.#progress.execute({ op: "init-sender", ref, numPages: page.length, auxIndex });
      this.#progress.execute({ op: "send", ref, pages: page });
    } else {
      this.#progress.execute({ op: "open-receiver", ref, room, bootstrapAddr: this.#registry });
      const rest = { decodePrefixTokens: 0, prefillDpRank: undefined };
      this.#progress.execute({ op: "init-receiver", ref, pages: page, auxIndex, ...rest });
    }
  }
}
