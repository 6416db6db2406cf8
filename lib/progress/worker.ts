/**
 * The progress thread: hosts a {@link Progress}, feeds it commands, and sleeps in one zmq_poll over everything that can
 * wake it. From its start to its end it never returns to the event loop.
 * @module
 */
declare const self: Worker;

import { EventFd } from "../../ffi/libc/index.ts";
import { ZmqContext, ZmqPoller } from "../../ffi/zmq/index.ts";
import { RoomTable } from "../rooms/index.ts";
import { runPromptly } from "../scheduling.ts";
import { openTransports } from "../transports/index.ts";
import type { TransportFactory } from "../transports/transport.ts";
import { CommandRing } from "./command-ring.ts";
import { refuse } from "./command.ts";
import { type ProgressLoop, runProgress } from "./loop.ts";
import { Progress } from "./progress.ts";
import { PollReactor } from "./reactor.ts";
import { Rehearsal } from "./rehearsal.ts";
import { contextFor, dependenciesOf } from "./setup.ts";
import { Control, Phase, type ProgressReport, type ProgressStart } from "./worker-protocol.ts";
import { ZmqControl } from "./zmq-control.ts";

self.addEventListener("message", (event: MessageEvent<ProgressStart>) => void start(event.data), { once: true });

function post(report: ProgressReport): void {
  self.postMessage(report);
}

async function start(start: ProgressStart): Promise<void> {
  if (start.promptThreads) runPromptly();
  const control = new Int32Array(start.control);
  const table = RoomTable.over(start.table);
  const wake = EventFd.borrow(start.wakeFd);
  const context = ZmqContext.create();
  const reactor = new PollReactor(new ZmqPoller());
  reactor.watch(wake.fd, { readable: true }, () => void wake.drain());
  let progress: Progress | undefined;
  try {
    const { transports, unusable, rehearsable } = await openTransports(
      start.transports,
      (name) => contextFor(name, start, reactor, () => progress),
      reactor,
    );
    if (transports.length === 0) return post({ report: "refused", message: unusable.join("; ") || "none was named" });
    const registries = new ZmqControl(context, reactor, start.curve);
    const dependencies = dependenciesOf(start, table, registries, transports);
    const rehearsals = openRehearsals(start, rehearsable, context, reactor);
    post({
      report: "running",
      transports: transports.map(({ name }) => name),
      unusable,
      rehearsals: rehearsals.map(({ script }) => script),
    });
    Atomics.store(control, Control.phase, Phase.running);
    for (const [act, rehearsal] of rehearsals.entries()) {
      rehearse(rehearsal, { ring: CommandRing.over(start.rehearsals[act]!.ring), reactor, control });
    }
    progress = new Progress(dependencies, start.registryAddress);
    runProgress({ progress, ring: CommandRing.over(start.ring), reactor, control, companions: [] });
    for (const transport of transports) transport.close();
    finish(control, Phase.stopped);
  } catch (error) {
    progress?.fail(error);
    Atomics.store(control, Control.unfenced, progress?.unfenced ?? 0);
    finish(control, Phase.died);
    // Whoever gives a command from now on sees that; these were given before.
    const ring = CommandRing.over(start.ring);
    for (let command = ring.pop(); command; command = ring.pop()) refuse(table, command, error);
    post({ report: "died", message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  } finally {
    context.close();
  }
}

function openRehearsals(
  start: ProgressStart,
  transport: TransportFactory,
  context: ZmqContext,
  reactor: PollReactor,
): Rehearsal[] {
  const opened: Rehearsal[] = [];
  try {
    for (const { table } of start.rehearsals) {
      opened.push(Rehearsal.open({ start, transport, table: RoomTable.over(table), context, reactor }));
    }
  } catch {
    // Then the first rooms are slower.
  }
  return opened;
}

/** The engine's thread ends it, too; whatever goes wrong in it says nothing about the real rooms. */
function rehearse(
  rehearsal: Rehearsal,
  { ring, reactor, control }: Omit<ProgressLoop, "progress" | "companions">,
): void {
  try {
    runProgress({ progress: rehearsal.progress, companions: rehearsal.companions, ring, reactor, control });
  } catch {
    // The rooms end with the rehearsal.
  } finally {
    rehearsal[Symbol.dispose]();
  }
}

function finish(control: Int32Array, phase: number): void {
  Atomics.store(control, Control.asleep, 0);
  Atomics.store(control, Control.phase, phase);
  Atomics.notify(control, Control.phase);
}
