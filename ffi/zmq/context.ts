import { constants } from "node:os";
import { type Address, NULL } from "../runtime/index.ts";
import { contextOptions, type ZmqSocketType } from "./constants.ts";
import { lastError, refusal } from "./errors.ts";
import { libzmq } from "./library.ts";
import { ZmqSocket } from "./socket.ts";
import type { ZmqSocketOptions } from "./socket-options.ts";

const { EINTR } = constants.errno;

/** See zmq_ctx_set(3). */
export interface ZmqContextOptions {
  /** Threads that do the input and output; 1, about one per GB/s. */
  readonly ioThreads?: number;
  /** libzmq's default: 1023. */
  readonly maxSockets?: number;
  /** The default of the sockets' `ipv6`. */
  readonly ipv6?: boolean;
}

/** A zmq context (zmq_ctx_new(3)) and the sockets made from it, which `close()` closes first. */
export class ZmqContext {
  readonly #sockets = new Set<ZmqSocket>();
  #handle: Address;

  private constructor(handle: Address) {
    this.#handle = handle;
  }

  static create(options: ZmqContextOptions = {}): ZmqContext {
    const { zmq_ctx_new, zmq_ctx_set, zmq_ctx_term } = libzmq().symbols;
    const handle = zmq_ctx_new();
    if (handle === NULL) throw lastError("zmq_ctx_new");
    const set = (option: keyof typeof contextOptions, value: number | boolean | undefined): void => {
      if (value === undefined) return;
      // Anything but a 32-bit integer would reach C as another number.
      const exact = (Number(value) | 0) === Number(value);
      if (exact && zmq_ctx_set(handle, contextOptions[option], Number(value)) === 0) return;
      const subject = `${option} ${value}`;
      const error = exact ? lastError("zmq_ctx_set", subject) : refusal("zmq_ctx_set", "EINVAL", "no integer", subject);
      zmq_ctx_term(handle);
      throw error;
    };
    set("IO_THREADS", options.ioThreads);
    set("MAX_SOCKETS", options.maxSockets);
    set("IPV6", options.ipv6);
    return new ZmqContext(handle);
  }

  /** The options are applied before the socket is returned, so before any bind or connect. */
  socket(type: ZmqSocketType, options: ZmqSocketOptions = {}): ZmqSocket {
    if (this.#handle === NULL) throw refusal("zmq_socket", "ETERM", "the context is closed", type);
    const owner = { socketClosed: (socket: ZmqSocket): void => void this.#sockets.delete(socket) };
    const socket = ZmqSocket.unsafeOpen(owner, this.#handle, type, options);
    this.#sockets.add(socket);
    return socket;
  }

  get closed(): boolean {
    return this.#handle === NULL;
  }

  /** Idempotent. Closes the sockets, then waits as long as their `linger` says: by default not at all. */
  close(): void {
    if (this.#handle === NULL) return;
    for (const socket of this.#sockets) socket.close();
    const { zmq_ctx_term, zmq_errno } = libzmq().symbols;
    while (zmq_ctx_term(this.#handle) === -1 && zmq_errno() === EINTR);
    this.#handle = NULL;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
