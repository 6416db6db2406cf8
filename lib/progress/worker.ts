/**
 * The progress thread: hosts a {@link Progress}, feeds it commands, and sleeps in one zmq_poll over everything that can
 * wake it. From its start to its end it never returns to the event loop.
 * @module
 */
declare const self: Worker;

import { EventFd, yieldProcessor } from "../../ffi/libc/index.ts";
import { ZmqContext, ZmqPoller } from "../../ffi/zmq/index.ts";
import { now } from "../clock.ts";
import { KVTransferError } from "../errors.ts";
import { rehearse } from "../rehearsal.ts";
import { RoomTable } from "../rooms/index.ts";
import { openTransports } from "../transports/index.ts";
import { CommandRing } from "./command-ring.ts";
import { refuse } from "./command.ts";
import { DecodeRole } from "./decode-role.ts";
import { Progress } from "./progress.ts";
import { PollReactor } from "./reactor.ts";
import { Control, Phase, type ProgressReport, type ProgressStart } from "./worker-protocol.ts";
import { ZmqControl } from "./zmq-control.ts";

/** After the last progress the thread looks on for this long before it sleeps. */
const SPIN_MS = 0.05;
const CLOSE_FENCE_MS = 1_000;

self.addEventListener("message", (event: MessageEvent<ProgressStart>) => void start(event.data), { once: true });

function post(report: ProgressReport): void {
  self.postMessage(report);
}

async function start(start: ProgressStart): Promise<void> {
  const control = new Int32Array(start.control);
  const table = RoomTable.over(start.table);
  const wake = EventFd.borrow(start.wakeFd);
  const context = ZmqContext.create();
  const reactor = new PollReactor(new ZmqPoller());
  reactor.watch(wake.fd, { readable: true }, () => void wake.drain());
  let progress: Progress | undefined;
  try {
    const { transports, unusable } = await openTransports(
      start.transports,
      (name) => ({
        role: start.self.role,
        self: start.self.id,
        layout: start.self.layout,
        buffers: start.buffers,
        reactor,
        now,
        advertiseHost: start.advertiseHost,
        connectTimeoutMs: start.timeouts.connectMs,
        options: start.transportOptions[name] ?? {},
        mayWrite: (tag, address, byteLength) =>
          progress?.role instanceof DecodeRole && progress.role.owners.owns(tag, address, byteLength),
      }),
      reactor,
    );
    if (transports.length === 0) return post({ report: "refused", message: unusable.join("; ") || "none was named" });
    const dependencies = {
      self: { ...start.self, transports: transports.map(({ name }) => name) },
      token: start.token,
      table,
      control: new ZmqControl(context, reactor, start.curve),
      transports,
      timeouts: start.timeouts,
      now,
      random: Math.random,
    };
    rehearse();
    progress = new Progress(dependencies, start.registryAddress);
    post({ report: "running", transports: transports.map(({ name }) => name), unusable });
    Atomics.store(control, Control.phase, Phase.running);
    run(progress, CommandRing.over(start.ring), reactor, control);
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

function run(progress: Progress, ring: CommandRing, reactor: PollReactor, control: Int32Array): void {
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
    publish(progress, control);

    const turnAt = now();
    if (stopping !== undefined && mayStop(progress, control, turnAt - stopping)) return progress.close();
    if (busy) lastProgressAt = turnAt;
    const spinning = turnAt - lastProgressAt < SPIN_MS || stopping !== undefined;
    if (spinning || !ring.empty) {
      const ready = reactor.wait(0);
      if (ready) lastProgressAt = turnAt;
      // The peer, or this side's engine, may be waiting for this very processor.
      if (busy || !ready) yieldProcessor();
      continue;
    }
    Atomics.store(control, Control.asleep, 1);
    // A command given between the look at the ring and this store signals the eventfd only if it saw the store.
    if (ring.empty && reactor.wait(Math.max(0, progress.wakeAt - now()))) lastProgressAt = now();
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

function finish(control: Int32Array, phase: number): void {
  Atomics.store(control, Control.asleep, 0);
  Atomics.store(control, Control.phase, phase);
  Atomics.notify(control, Control.phase);
}
