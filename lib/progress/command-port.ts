import type { EventFd } from "../../ffi/libc/index.ts";
import { KVTransferError } from "../errors.ts";
import type { RoomTable } from "../rooms/index.ts";
import type { CommandRing } from "./command-ring.ts";
import { type Command, refuse } from "./command.ts";
import { Control, Phase } from "./worker-protocol.ts";

/** The engine's thread's end of a command ring: gives commands to the progress thread, in order, without waiting. */
export class CommandPort {
  readonly table: RoomTable;
  readonly ring: CommandRing;
  readonly #wake: EventFd;
  readonly #control: Int32Array;
  /** Commands that did not fit the ring. */
  readonly #overflow: Command[] = [];
  /** What rooms fail with once the thread has died. */
  cause = new KVTransferError("INTERNAL", "the progress thread has died", { step: "progress" });

  constructor(table: RoomTable, ring: CommandRing, wake: EventFd, control: Int32Array) {
    this.table = table;
    this.ring = ring;
    this.#wake = wake;
    this.#control = control;
  }

  submit(command: Command): void {
    if (this.#overflow.length > 0 || !this.ring.push(command)) {
      this.#overflow.push(command);
      if (this.#overflow.length === 1) void this.#flush();
    }
    if (Atomics.load(this.#control, Control.asleep) === 1) this.#wake.signal();
    if (this.#died) refuse(this.table, command, this.cause);
  }

  get #died(): boolean {
    return Atomics.load(this.#control, Control.phase) === Phase.died;
  }

  /** The ring was full: pushes what waits, in order, as the thread makes space. */
  async #flush(): Promise<void> {
    while (this.#overflow.length > 0 && !this.#died) {
      const waiting = Atomics.waitAsync(this.#control, Control.drained, 0, 10);
      if (waiting.async) await waiting.value;
      while (this.#overflow.length > 0 && this.ring.push(this.#overflow[0]!)) this.#overflow.shift();
      this.#wake.signal();
    }
  }
}
