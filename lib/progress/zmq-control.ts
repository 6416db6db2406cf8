import { LibcError, localAddressToward } from "../../ffi/libc/index.ts";
import type { MessageOrigin, ZmqContext, ZmqCurve, ZmqSocket, ZmqSocketOptions } from "../../ffi/zmq/index.ts";
import { type Frames, MAX_MESSAGE_BYTES } from "../protocol/index.ts";
import type { ControlNetwork, ControlSocket } from "./dependencies.ts";
import type { PollReactor } from "./reactor.ts";

const MAX_FRAMES = 3;
/** Nothing is sent there; a route depends on the host alone. */
const ANY_PORT = 9;

/** What every client of a registry asks of its socket. Unsent messages die with it. */
export function dealerOptions(curve: ZmqCurve | undefined): ZmqSocketOptions {
  return {
    linger: 0,
    sendHighWater: 10_000,
    receiveHighWater: 10_000,
    maxMessageBytes: MAX_MESSAGE_BYTES,
    reconnectInterval: 50,
    reconnectIntervalMax: 1_000,
    handshakeTimeout: 5_000,
    ...(curve ? { curve } : {}),
  };
}

/** Registries are reached over ZeroMQ DEALER sockets, which reconnect by themselves. */
export class ZmqControl implements ControlNetwork {
  readonly #context: ZmqContext;
  readonly #reactor: PollReactor;
  readonly #curve: ZmqCurve | undefined;

  constructor(context: ZmqContext, reactor: PollReactor, curve: ZmqCurve | undefined) {
    this.#context = context;
    this.#reactor = reactor;
    this.#curve = curve;
  }

  dial(address: string): ControlSocket {
    const socket = this.#context.socket("dealer", dealerOptions(this.#curve));
    try {
      socket.connect(`tcp://${address}`);
    } catch (error) {
      socket.close();
      throw error;
    }
    this.#reactor.watchSocket(socket);
    return new Dealer(socket, this.#reactor);
  }
}

class Dealer implements ControlSocket {
  /**
   * Known once the registry has spoken: then its address is, too, without a look-up that would hold up the whole thread.
   */
  localHost: string | undefined;
  readonly #socket: ZmqSocket;
  readonly #reactor: PollReactor;
  #heard = false;

  constructor(socket: ZmqSocket, reactor: PollReactor) {
    this.#socket = socket;
    this.#reactor = reactor;
  }

  send(frames: Frames): boolean {
    return this.#socket.send(frames);
  }

  receive(): Frames | undefined {
    if (this.#heard) return this.#socket.receive(MAX_FRAMES) as Frames | undefined;
    const origin: MessageOrigin = {};
    const frames = this.#socket.receive(MAX_FRAMES, origin);
    this.#heard = frames !== undefined;
    if (origin.peerAddress !== undefined) this.localHost = localHostToward(origin.peerAddress);
    return frames as Frames | undefined;
  }

  close(): void {
    this.#reactor.unwatchSocket(this.#socket);
    this.#socket.close();
  }
}

function localHostToward(host: string): string | undefined {
  try {
    return localAddressToward({ host, port: ANY_PORT });
  } catch (error) {
    // The transports then take their own default.
    if (error instanceof LibcError) return undefined;
    throw error;
  }
}
