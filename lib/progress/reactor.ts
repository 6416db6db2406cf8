import type { ZmqPoller, ZmqSocket } from "../../ffi/zmq/index.ts";
import type { Reactor, Readiness, Watch } from "../transports/transport.ts";

type Interest = { readable?: boolean; writable?: boolean };

/** The progress thread's poll set: the manager's zmq sockets, whose readiness only ends the wait, and the transports' descriptors. */
export class PollReactor implements Reactor {
  readonly #poller: ZmqPoller;
  readonly #callbacks = new Map<number, (ready: Readiness) => void>();

  constructor(poller: ZmqPoller) {
    this.#poller = poller;
  }

  watch(fd: number, interest: Interest, onReady: (ready: Readiness) => void): Watch {
    this.#poller.addFd(fd, interest);
    this.#callbacks.set(fd, onReady);
    let open = true;
    return {
      update: (changed) => {
        if (open) this.#poller.modify(fd, changed);
      },
      close: () => {
        if (!open) return;
        open = false;
        this.#poller.remove(fd);
        if (this.#callbacks.get(fd) === onReady) this.#callbacks.delete(fd);
      },
    };
  }

  watchSocket(socket: ZmqSocket): void {
    this.#poller.add(socket, { readable: true });
  }

  unwatchSocket(socket: ZmqSocket): void {
    this.#poller.remove(socket);
  }

  /** Waits and calls back what is ready; true if a descriptor or a socket was. */
  wait(timeoutMs: number): boolean {
    if (this.#poller.wait(timeoutMs) === 0) return false;
    // A Map's iteration skips what a callback removes; what one adds was not polled and is not ready.
    for (const [fd, onReady] of this.#callbacks) {
      const readable = this.#poller.readable(fd);
      const writable = this.#poller.writable(fd);
      const failed = this.#poller.failed(fd);
      if (readable || writable || failed) onReady({ readable, writable, failed });
    }
    return true;
  }
}
