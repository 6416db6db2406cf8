import {
  Access,
  type MemoryRegion,
  type MemoryWindow,
  nextKey,
  type ProtectionDomain,
} from "../../../ffi/verbs/index.ts";
import type { RoomTag } from "../transport.ts";
import { MessageType } from "./messages.ts";
import type { KeyNote } from "./outbox.ts";
import type { SendQueue } from "./send-queue.ts";
import type { Range } from "./regions.ts";

/** What windows are made of: a rail's memory. */
export interface WindowedMemory {
  readonly domain: Pick<ProtectionDomain, "allocateMemoryWindow">;
  readonly ranges: readonly Range[];
  /** Of each range. */
  readonly regions: readonly MemoryRegion[];
}

interface RangeWindow {
  readonly window: MemoryWindow;
  key: number;
  /** The device has been asked to bind it under the key. */
  isBound: boolean;
}

/** Nobody has to be told of these. */
const NOBODY = { pending: 0, landed: (): void => undefined };

/**
 * Memory windows of type 2, by which one lane's peer may write: a set for each room, one window on each range. Its key is the
 * room's alone, and dies without the peer's help. A set whose room has ended is bound anew for another.
 */
export class LaneWindows {
  readonly #memory: WindowedMemory;
  readonly #byRoom = new Map<RoomTag, readonly RangeWindow[]>();
  readonly #spare: (readonly RangeWindow[])[] = [];

  constructor(memory: WindowedMemory) {
    this.#memory = memory;
  }

  /** What gives the peer the room's keys. @throws {VerbsError} where the device has no more windows. */
  open(tag: RoomTag): KeyNote[] {
    const windows = this.#spare.pop() ?? this.#memory.regions.map(() => this.#allocate());
    this.#byRoom.set(tag, windows);
    return windows.map((window, range): KeyNote => {
      const key = nextKey(window.key);
      return {
        requests: 2,
        bind: (sends) => this.#bind(sends, window, range, key),
        note: { type: MessageType.KEY, tag, round: range, value: key },
      };
    });
  }

  /** The room has ended. */
  close(tag: RoomTag): void {
    const windows = this.#byRoom.get(tag);
    if (windows && this.#byRoom.delete(tag)) this.#spare.push(windows);
  }

  /** The keys by which the peer may write for the room; they count for dead from now on. */
  takeKeys(tag: RoomTag): number[] {
    const bound = (this.#byRoom.get(tag) ?? []).filter(({ isBound }) => isBound);
    for (const window of bound) window.isBound = false;
    return bound.map(({ key }) => key);
  }

  #allocate(): RangeWindow {
    const window = this.#memory.domain.allocateMemoryWindow("TYPE_2");
    return { window, key: window.rkey, isBound: false };
  }

  #bind(sends: SendQueue, bound: RangeWindow, range: number, key: number): void {
    const { ranges, regions } = this.#memory;
    const { address, byteLength } = ranges[range]!;
    if (bound.isBound) sends.invalidate(NOBODY, bound.key);
    const { window } = bound;
    sends.bind(NOBODY, { window, region: regions[range]!, address, byteLength, access: Access.REMOTE_WRITE }, key);
    bound.key = key;
    bound.isBound = true;
  }
}
