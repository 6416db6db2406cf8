/** The registry's thread: a {@link Registry} behind a ROUTER socket. @module */
declare const self: Worker;

import { EventFd } from "../../ffi/libc/index.ts";
import { ZmqContext, ZmqError, ZmqPoller, type ZmqSocket } from "../../ffi/zmq/index.ts";
import type { Frame } from "../protocol/index.ts";
import { Registry } from "./registry.ts";
import { RegistryControl, type RegistryReport, type RegistryStart } from "./worker-protocol.ts";

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const MAX_FRAMES = 4;
const MESSAGES_PER_TURN = 256;
const TICKS_PER_LEASE = 10;

self.addEventListener("message", (event: MessageEvent<RegistryStart>) => start(event.data), { once: true });

function start(start: RegistryStart): void {
  const control = new Int32Array(start.control);
  const context = ZmqContext.create();
  try {
    const socket = context.socket("router", {
      linger: 0,
      routerHandover: true,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      sendHighWater: 100_000,
      receiveHighWater: 100_000,
      ...(start.serverSecretKey ? { curve: { serverSecretKey: start.serverSecretKey } } : {}),
    });
    socket.bind(`tcp://${start.host}:${start.port}`);
    const port = Number(socket.lastEndpoint.split(":").at(-1));
    self.postMessage({ report: "listening", port } satisfies RegistryReport);
    serve(start, socket, control);
  } catch (error) {
    const status = error instanceof ZmqError ? error.code : "INTERNAL";
    self.postMessage({ report: "refused", message: (error as Error).message, status } satisfies RegistryReport);
  } finally {
    context.close();
    Atomics.store(control, RegistryControl.stopped, 1);
    Atomics.notify(control, RegistryControl.stopped);
  }
}

function serve(start: RegistryStart, socket: ZmqSocket, control: Int32Array): void {
  const { leaseMs, maxMembers, token } = start;
  const registry = new Registry({ epoch: crypto.randomUUID(), leaseMs, maxMembers, token }, (identity, frames) => {
    // A client that is gone, or takes nothing, loses the message: its lease tells.
    socket.send([identity, ...frames]);
  });
  const wake = EventFd.borrow(start.wakeFd);
  const poller = new ZmqPoller();
  poller.add(socket, { readable: true });
  poller.addFd(wake.fd, { readable: true });

  const tickMs = leaseMs / TICKS_PER_LEASE;
  let lastTurnAt = performance.now();
  let nextTickAt = lastTurnAt + tickMs;
  while (Atomics.load(control, RegistryControl.stop) === 0) {
    poller.wait(Math.max(0, nextTickAt - performance.now()));
    if (poller.readable(wake.fd)) wake.drain();
    const now = performance.now();
    // A process that was stopped hears what has come since before it judges anybody's silence.
    if (now - lastTurnAt > leaseMs / 2) registry.forgive(now - lastTurnAt);
    lastTurnAt = now;
    for (let i = 0; i < MESSAGES_PER_TURN; i++) {
      const message = socket.receive(MAX_FRAMES) as Frame[] | undefined;
      if (!message) break;
      const [identity, ...frames] = message;
      registry.receive(identity!, frames, now);
    }
    if (now < nextTickAt) continue;
    nextTickAt = now + tickMs;
    registry.tick(now);
    Atomics.store(control, RegistryControl.members, registry.memberCount);
  }
}
