import type { Frames, Member } from "../protocol/index.ts";
import type { RoomTable } from "../rooms/index.ts";
import type { Transport } from "../transports/transport.ts";

/** One connection to a registry. Sending never waits; receiving gives what is there. */
export interface ControlSocket {
  /** False: the queue is full, nothing was sent. */
  send(frames: Frames): boolean;
  receive(): Frames | undefined;
  /** The address that this host speaks from to the registry, where there are addresses. */
  readonly localHost?: string | undefined;
  close(): void;
}

export interface ControlNetwork {
  dial(address: string): ControlSocket;
}

/** Milliseconds. Each wait of the library is one of these. */
export interface Timeouts {
  /** From a room's creation until both sides know each other. */
  readonly bootstrapMs: number;
  /** Until prefill's engine has given its first pages, once both sides know each other. */
  readonly inputMs: number;
  /** From the receiver's pages being sent until the last byte is in place. */
  readonly transferMs: number;
  /** For a pair of ranks to connect. */
  readonly connectMs: number;
  /** Silence after which a peer or a registry is dead. */
  readonly leaseMs: number;
  /** A decode lets go of a registry and of its pairs after this long without a room. */
  readonly idleMs: number;
}

/** All that the progress of a manager depends on; sockets, threads and time come from outside. */
export interface ProgressDependencies {
  readonly self: Member;
  readonly token: string | undefined;
  readonly table: RoomTable;
  readonly control: ControlNetwork;
  /** Best first. */
  readonly transports: readonly Transport[];
  readonly timeouts: Timeouts;
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}
