import type { ZmqContext, ZmqSocket } from "../../ffi/zmq/index.ts";
import { now } from "../clock.ts";
import { lateness } from "../lateness.ts";
import { type Frame, MAX_MESSAGE_BYTES } from "../protocol/index.ts";
import { Registry } from "./registry.ts";

const MAX_FRAMES = 4;
const MESSAGES_PER_TURN = 256;
const TICKS_PER_LEASE = 10;

export interface RegistrySocketOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly leaseMs: number;
  readonly maxMembers: number;
  readonly token?: string | undefined;
  readonly serverSecretKey?: string | undefined;
}

/** A {@link Registry} behind a ROUTER socket, which whoever polls it owns. */
export class RegistrySocket implements Disposable {
  readonly socket: ZmqSocket;
  readonly port: number;
  readonly #registry: Registry;
  readonly #leaseMs: number;
  #lastTurnAt: number;
  #nextTickAt: number;

  private constructor(socket: ZmqSocket, registry: Registry, leaseMs: number) {
    this.socket = socket;
    this.port = Number(socket.lastEndpoint.split(":").at(-1));
    this.#registry = registry;
    this.#leaseMs = leaseMs;
    this.#lastTurnAt = now();
    this.#nextTickAt = this.#lastTurnAt + leaseMs / TICKS_PER_LEASE;
  }

  /** @throws {ZmqError} EADDRINUSE and its like. */
  static bind(context: ZmqContext, options: RegistrySocketOptions): RegistrySocket {
    const { host, port, leaseMs, maxMembers, token, serverSecretKey } = options;
    const socket = context.socket("router", {
      linger: 0,
      routerHandover: true,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      sendHighWater: 100_000,
      receiveHighWater: 100_000,
      ...(serverSecretKey ? { curve: { serverSecretKey } } : {}),
    });
    try {
      socket.bind(`tcp://${host}:${port}`);
    } catch (error) {
      socket.close();
      throw error;
    }
    const registry = new Registry({ epoch: crypto.randomUUID(), leaseMs, maxMembers, token }, (identity, frames) => {
      // A client that is gone, or takes nothing, loses the message: its lease tells.
      socket.send([identity, ...frames]);
    });
    return new RegistrySocket(socket, registry, leaseMs);
  }

  get memberCount(): number {
    return this.#registry.memberCount;
  }

  /** When {@link step} has something to do even if no message comes. */
  get wakeAt(): number {
    return this.#nextTickAt;
  }

  /** Hears what has come; true if anything had. */
  step(): boolean {
    const at = now();
    const late = lateness(this, this.#lastTurnAt, at);
    if (late > 0) this.#registry.forgive(late);
    this.#lastTurnAt = at;
    let heard = 0;
    for (; heard < MESSAGES_PER_TURN; heard++) {
      const message = this.socket.receive(MAX_FRAMES) as Frame[] | undefined;
      if (!message) break;
      const [identity, ...frames] = message;
      this.#registry.receive(identity!, frames, at);
    }
    if (at >= this.#nextTickAt) {
      this.#nextTickAt = at + this.#leaseMs / TICKS_PER_LEASE;
      this.#registry.tick(at);
    }
    return heard > 0;
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }
}
