import type { ZmqCurve } from "../../ffi/zmq/index.ts";
import type { KVLayout } from "../planner/index.ts";
import type { Member } from "../protocol/index.ts";
import type { RegisteredBuffer, TransportData } from "../transports/transport.ts";
import type { Timeouts } from "./dependencies.ts";

/** What a manager's progress is made from. */
export interface ManagerStart {
  readonly self: Member;
  readonly token: string | undefined;
  readonly buffers: readonly RegisteredBuffer[];
  readonly transportOptions: { readonly [name: string]: TransportData };
  readonly advertiseHost: string | undefined;
  readonly timeouts: Timeouts;
}

/** What the progress thread is started with. Structured-cloned: only data and shared memory. */
export interface ProgressStart extends ManagerStart {
  readonly curve: ZmqCurve | undefined;
  readonly registryAddress: string | undefined;
  readonly promptThreads: boolean;
  /** Names or module paths, best first. */
  readonly transports: readonly string[];
  readonly table: SharedArrayBuffer;
  readonly ring: SharedArrayBuffer;
  /** The same for the rooms that are rehearsed before any other. */
  readonly rehearsals: readonly { readonly table: SharedArrayBuffer; readonly ring: SharedArrayBuffer }[];
  /** The eventfd that wakes the thread. */
  readonly wakeFd: number;
  /** See {@link Control}. */
  readonly control: SharedArrayBuffer;
}

/** Words that the two threads share besides rooms and commands. */
export const Control = {
  /** 0 starting, 1 running, 2 stopped, 3 died. */
  phase: 0,
  /** 1 while the thread sleeps and must be woken. */
  asleep: 1,
  /** Rooms whose pages a peer could still write to when the thread stopped. */
  unfenced: 2,
  /** Commands that did not fit the ring were waiting: tells the writer that there is space. */
  drained: 3,
  pairs: 4,
  links: 5,
  earlyRooms: 6,
  queuePairs: 7,
  words: 16,
} as const;

export const Phase = { starting: 0, running: 1, stopped: 2, died: 3 } as const;

/** What the engine's thread must know of a rehearsal to play its part. */
export interface RehearsalScript {
  readonly layout: KVLayout;
  /** The address of its registry. */
  readonly registry: string;
}

/** What the progress thread posts to its manager: only at the start and the end, for those are not waited for in a tick. */
export type ProgressReport =
  | {
      readonly report: "running";
      readonly transports: readonly string[];
      readonly unusable: readonly string[];
      /** Each is there until the command to stop comes by its ring. */
      readonly rehearsals: readonly RehearsalScript[];
    }
  | { readonly report: "refused"; readonly message: string }
  | { readonly report: "died"; readonly message: string };
