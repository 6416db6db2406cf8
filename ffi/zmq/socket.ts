import { constants } from "node:os";
import { type Address, NULL } from "../runtime/index.ts";
import { sendFlags, socketTypes, type ZmqSocketType } from "./constants.ts";
import { failure, lastError, refusal } from "./errors.ts";
import { libzmq } from "./library.ts";
import { type MessageOrigin, receiveFrames, sendFrame } from "./message.ts";
import { getNumber, getString } from "./option.ts";
import { applyOptions, type ZmqSocketOptions } from "./socket-options.ts";

const { EAGAIN } = constants.errno;
const { DONTWAIT, SNDMORE } = sendFlags;

/** The parent, kept alive by its sockets and told when one closes. */
export interface ZmqSocketOwner {
  socketClosed(socket: ZmqSocket): void;
}

/**
 * A socket of zmq_socket(3), made by `context.socket()`. It belongs to the thread that made it. Nothing here waits:
 * `send` and `receive` say at once that they cannot, and a `ZmqPoller` waits until they can.
 */
export class ZmqSocket {
  readonly type: ZmqSocketType;
  readonly #owner: ZmqSocketOwner;
  #handle: Address;

  private constructor(owner: ZmqSocketOwner, type: ZmqSocketType, handle: Address) {
    this.#owner = owner;
    this.type = type;
    this.#handle = handle;
  }

  /** For ZmqContext. The caller answers for `context` being a live zmq context. */
  static unsafeOpen(
    owner: ZmqSocketOwner,
    context: Address,
    type: ZmqSocketType,
    options: ZmqSocketOptions,
  ): ZmqSocket {
    const handle = libzmq().symbols.zmq_socket(context, socketTypes[type]);
    if (handle === NULL) throw lastError("zmq_socket", type);
    try {
      applyOptions(handle, options);
    } catch (error) {
      libzmq().symbols.zmq_close(handle);
      throw error;
    }
    return new ZmqSocket(owner, type, handle);
  }

  /** `endpoint`: "tcp://127.0.0.1:0", "ipc:///path", "ipc://@abstract", "inproc://name"; see zmq_tcp(7), zmq_ipc(7). */
  bind(endpoint: string): void {
    this.#withEndpoint("zmq_bind", endpoint);
  }

  /** Returns before the connection stands; libzmq makes it, and makes it again, in the background. */
  connect(endpoint: string): void {
    this.#withEndpoint("zmq_connect", endpoint);
  }

  unbind(endpoint: string): void {
    this.#withEndpoint("zmq_unbind", endpoint);
  }

  disconnect(endpoint: string): void {
    this.#withEndpoint("zmq_disconnect", endpoint);
  }

  /** What the latest bind or connect came to, with the port that port 0 or "*" chose; "" before. */
  get lastEndpoint(): string {
    return getString(this.#live("zmq_getsockopt"), "LAST_ENDPOINT");
  }

  /** Becomes readable when `events` may have changed, edge-triggered: for foreign event loops. ZmqPoller needs it not. */
  get fd(): number {
    return getNumber(this.#live("zmq_getsockopt"), "FD");
  }

  /** Bits of `pollEvents`: whether a message can be received, one can be sent. */
  get events(): number {
    return getNumber(this.#live("zmq_getsockopt"), "EVENTS");
  }

  /**
   * Sends the frames as one message; strings as UTF-8. False if it would have to wait: then nothing is sent.
   * True means queued: a connection that breaks loses what it had queued.
   * @throws {ZmqError} EHOSTUNREACH from a ROUTER with `routerMandatory` that does not know the peer of frame 0.
   */
  send(frames: readonly (Uint8Array | string)[]): boolean {
    const handle = this.#live("zmq_send");
    const last = frames.length - 1;
    if (last < 0) throw refusal("zmq_send", "EINVAL", "expected at least one frame, got none");
    for (let index = 0; index <= last; index++) {
      const errno = sendFrame(handle, frames[index]!, index < last ? DONTWAIT | SNDMORE : DONTWAIT);
      if (errno === 0) continue;
      if (errno !== EAGAIN) throw failure("zmq_send", errno, `frame ${index} of ${frames.length}`);
      if (index > 0) this.#finishDropping(handle, last - index);
      return false;
    }
    return true;
  }

  /**
   * The next whole message, or undefined if there is none. The arrays are the caller's. Of a message with more than
   * `limit` frames, `limit` + 1 come back, so that the length tells, and the rest is discarded. `origin`, if given, is
   * filled in.
   */
  receive(limit = Infinity, origin?: MessageOrigin): Uint8Array[] | undefined {
    const result = receiveFrames(this.#live("zmq_msg_recv"), DONTWAIT, limit, origin);
    if (typeof result !== "number") return result;
    if (result === EAGAIN) return undefined;
    throw failure("zmq_msg_recv", result);
  }

  get closed(): boolean {
    return this.#handle === NULL;
  }

  /** Idempotent. Unsent messages live on for `linger`. */
  close(): void {
    if (this.#handle === NULL) return;
    libzmq().symbols.zmq_close(this.#handle);
    this.#handle = NULL;
    this.#owner.socketClosed(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The `void *socket` of C; 0 once closed. */
  get unsafeHandle(): Address {
    return this.#handle;
  }

  /**
   * A peer can vanish between two frames of a message. libzmq then takes back the frames it had, and the load
   * balancer of these types swallows frames up to the end of the message: it must see that end.
   */
  #finishDropping(handle: Address, frames: number): void {
    if (this.type !== "dealer" && this.type !== "push") return;
    for (let left = frames; left > 0; left--) sendFrame(handle, "", left > 1 ? DONTWAIT | SNDMORE : DONTWAIT);
  }

  #withEndpoint(call: "zmq_bind" | "zmq_connect" | "zmq_unbind" | "zmq_disconnect", endpoint: string): void {
    // C would take the part before it for the whole.
    if (endpoint.includes("\0")) throw refusal(call, "EINVAL", "the endpoint holds a NUL", endpoint);
    if (libzmq().symbols[call](this.#live(call, endpoint), endpoint) !== 0) throw lastError(call, endpoint);
  }

  #live(call: string, subject?: string): Address {
    if (this.#handle === NULL) throw refusal(call, "ENOTSOCK", `the ${this.type} socket is closed`, subject);
    return this.#handle;
  }
}
