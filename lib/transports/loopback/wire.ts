import { KVTransferError } from "../../errors.ts";
import type { RoomTag, WriteBatch } from "../transport.ts";
import type { NetworkFaults } from "./control-network.ts";
import type { SimulatedMemory } from "./memory.ts";
import type { SimulatedProcess } from "./process.ts";
import type { Simulation } from "./simulation.ts";

/** What a test may watch and break. */
export interface WireOptions extends NetworkFaults {
  /** Of single writes: the pair breaks, as a queue pair does. */
  readonly breakRate: number;
  /** Called before a write lands. */
  readonly onWrite?: (landing: {
    readonly tag: RoomTag;
    readonly address: number;
    readonly byteLength: number;
  }) => void;
}

/** One end of a wire: what its process is told when it next runs. */
export interface WireEnd {
  readonly process: SimulatedProcess;
  deliver(message: WireMessage): void;
}

export type WireMessage =
  | { readonly type: "written"; readonly batch: WriteBatch }
  | { readonly type: "arrived"; readonly tag: RoomTag; readonly totalBytes: number }
  | { readonly type: "alive" }
  | { readonly type: "revoke"; readonly tag: RoomTag }
  | { readonly type: "fenced"; readonly tag: RoomTag }
  | { readonly type: "lost"; readonly error: KVTransferError };

/**
 * The wire between two simulated ranks. Like a reliable queue pair: writes may land in any order, a notification lands
 * behind the writes before it, and what was posted lands although the sender has been stopped since. Source bytes are
 * read when the write lands, so that a source page that is reused early is seen.
 */
export class Wire {
  readonly #simulation: Simulation;
  readonly #memory: SimulatedMemory;
  readonly #options: WireOptions;
  readonly #sender: WireEnd;
  readonly #receiver: WireEnd;
  readonly #flying = new Map<RoomTag, number>();
  #broken = false;
  /** Messages of one direction keep their order. */
  readonly #arrivesAt = { sender: 0, receiver: 0 };

  constructor(
    simulation: Simulation,
    memory: SimulatedMemory,
    options: WireOptions,
    sender: WireEnd,
    receiver: WireEnd,
  ) {
    this.#simulation = simulation;
    this.#memory = memory;
    this.#options = options;
    this.#sender = sender;
    this.#receiver = receiver;
    // What a dead process has posted may land for a while; only then does the other end see that it is gone.
    const grace = options.delayMs[1] * 2;
    sender.process.onDeath(() => simulation.after(grace, () => this.break(`${sender.process.name} died`)));
    receiver.process.onDeath(() => this.break(`${receiver.process.name} died`));
  }

  get broken(): boolean {
    return this.#broken;
  }

  /** Posts one write; `landed` runs when it has. */
  post(tag: RoomTag, source: number, destination: number, byteLength: number, landed: () => void): void {
    if (this.#broken) return;
    this.#flying.set(tag, (this.#flying.get(tag) ?? 0) + 1);
    this.#simulation.after(this.#delay(), () => {
      if (this.#broken) return;
      if (this.#simulation.chance(this.#options.breakRate)) return this.break("a write failed: IBV_WC_RETRY_EXC_ERR");
      this.#options.onWrite?.({ tag, address: destination, byteLength });
      this.#memory.copy(source, destination, byteLength);
      this.#flying.set(tag, this.#flying.get(tag)! - 1);
      landed();
    });
  }

  /** Whether writes for the room are under way. */
  flies(tag: RoomTag): boolean {
    return !this.#broken && (this.#flying.get(tag) ?? 0) > 0;
  }

  tell(which: "sender" | "receiver", message: WireMessage): void {
    const at = Math.max(this.#simulation.now + this.#delay(), this.#arrivesAt[which]);
    this.#arrivesAt[which] = at;
    const end = which === "sender" ? this.#sender : this.#receiver;
    this.#simulation.at(at, () => {
      if (this.#broken && message.type !== "lost") return;
      end.deliver(message);
      end.process.poke();
    });
  }

  /** Nothing lands from now on; both ends are told. */
  break(reason: string): void {
    if (this.#broken) return;
    this.#broken = true;
    const error = new KVTransferError("PEER_LOST", `the connection broke: ${reason}`, { step: "transfer" });
    for (const which of ["sender", "receiver"] as const) this.tell(which, { type: "lost", error });
  }

  #delay(): number {
    return this.#simulation.between(...this.#options.delayMs);
  }
}
