import { now } from "../clock.ts";
import { KVTransferError } from "../errors.ts";
import type { CommandRing } from "./command-ring.ts";
import { Courtesy } from "./courtesy.ts";
import { DecodeRole } from "./decode-role.ts";
import type { Progress } from "./progress.ts";
import type { PollReactor } from "./reactor.ts";
import { Control } from "./worker-protocol.ts";

/** After the last progress the thread looks on for this long before it sleeps. */
const SPIN_MS = 0.05;
const CLOSE_FENCE_MS = 1_000;

/** What else runs in the thread. */
export interface Companion {
  /** True: there is more to do right now. */
  step(): boolean;
  readonly wakeAt: number;
}

export interface ProgressLoop {
  readonly progress: Progress;
  readonly ring: CommandRing;
  readonly reactor: PollReactor;
  /** See {@link Control}. */
  readonly control: Int32Array;
  readonly companions: readonly Companion[];
}

/** Carries out commands and makes progress until the command to stop. */
export function runProgress({ progress, ring, reactor, control, companions }: ProgressLoop): void {
  const courtesy = new Courtesy();
  let lastProgressAt = now();
  let stopping: number | undefined;
  for (;;) {
    let busy = false;
    for (let command = ring.pop(); command; command = ring.pop()) {
      busy = true;
      if (command.op !== "stop") progress.execute(command);
      else if (stopping === undefined) {
        stopping = now();
        progress.fail(new KVTransferError("ABORTED", "the manager was closed", { step: "close" }));
      }
    }
    if (busy) Atomics.notify(control, Control.drained);
    busy = progress.step() || busy;
    for (const each of companions) busy = each.step() || busy;
    publish(progress, control);

    const turnAt = now();
    if (stopping !== undefined && mayStop(progress, control, turnAt - stopping)) return progress.close();
    if (busy) lastProgressAt = turnAt;
    const lookingOn = turnAt - lastProgressAt < SPIN_MS && courtesy.mayLookOn(turnAt);
    if (busy || lookingOn || stopping !== undefined || !ring.empty) {
      const ready = reactor.wait(0);
      if (ready) lastProgressAt = turnAt;
      if (busy || !ready) courtesy.giveWay();
      continue;
    }
    let wakeAt = progress.wakeAt;
    for (const each of companions) wakeAt = Math.min(wakeAt, each.wakeAt);
    Atomics.store(control, Control.asleep, 1);
    // A command given between the look at the ring and this store signals the eventfd only if it saw the store.
    if (ring.empty && reactor.wait(Math.max(0, wakeAt - now()))) lastProgressAt = now();
    Atomics.store(control, Control.asleep, 0);
  }
}

/** Fences are given a moment; after it the pages are reported as not to be reused. */
function mayStop(progress: Progress, control: Int32Array, forMs: number): boolean {
  Atomics.store(control, Control.unfenced, progress.unfenced);
  return progress.unfenced === 0 || forMs > CLOSE_FENCE_MS;
}

function publish(progress: Progress, control: Int32Array): void {
  control[Control.pairs] = progress.role.pairCount;
  control[Control.links] = progress.role instanceof DecodeRole ? progress.role.linkCount : 1;
  control[Control.queuePairs] = progress.queuePairs;
  control[Control.earlyRooms] = progress.role instanceof DecodeRole ? 0 : progress.role.earlyRooms;
}
