/** The registry's thread: hears its socket until it is told to stop. @module */
declare const self: Worker;

import { EventFd } from "../../ffi/libc/index.ts";
import { ZmqContext, ZmqError, ZmqPoller } from "../../ffi/zmq/index.ts";
import { now } from "../clock.ts";
import { runPromptly } from "../scheduling.ts";
import { rehearseRegistry } from "./rehearsal.ts";
import { RegistrySocket } from "./registry-socket.ts";
import { RegistryControl, type RegistryReport, type RegistryStart } from "./worker-protocol.ts";

self.addEventListener("message", (event: MessageEvent<RegistryStart>) => start(event.data), { once: true });

function start(start: RegistryStart): void {
  if (start.promptThreads) runPromptly();
  const control = new Int32Array(start.control);
  const context = ZmqContext.create();
  try {
    const registry = RegistrySocket.bind(context, start);
    self.postMessage({ report: "listening", port: registry.port } satisfies RegistryReport);
    rehearseRegistry(context);
    serve(registry, EventFd.borrow(start.wakeFd), control);
  } catch (error) {
    const status = error instanceof ZmqError ? error.code : "INTERNAL";
    self.postMessage({ report: "refused", message: (error as Error).message, status } satisfies RegistryReport);
  } finally {
    context.close();
    Atomics.store(control, RegistryControl.stopped, 1);
    Atomics.notify(control, RegistryControl.stopped);
  }
}

function serve(registry: RegistrySocket, wake: EventFd, control: Int32Array): void {
  const poller = new ZmqPoller();
  poller.add(registry.socket, { readable: true });
  poller.addFd(wake.fd, { readable: true });
  while (Atomics.load(control, RegistryControl.stop) === 0) {
    poller.wait(Math.max(0, registry.wakeAt - now()));
    if (poller.readable(wake.fd)) wake.drain();
    registry.step();
    Atomics.store(control, RegistryControl.members, registry.memberCount);
  }
}
