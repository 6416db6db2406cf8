import { LibcError, localAddressToward, resolveHost } from "../../ffi/libc/index.ts";
import { type ZmqContext, type ZmqCurve, type ZmqSocketOptions } from "../../ffi/zmq/index.ts";
import type { Frames } from "../protocol/index.ts";
import type { ControlNetwork, ControlSocket } from "./dependencies.ts";
import type { PollReactor } from "./reactor.ts";

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

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
    return {
      localHost: localHostToward(address),
      send: (frames) => socket.send(frames),
      receive: () => socket.receive(3) as Frames | undefined,
      close: () => {
        this.#reactor.unwatchSocket(socket);
        socket.close();
      },
    };
  }
}

function localHostToward(address: string): string | undefined {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  try {
    return localAddressToward({ host: resolveHost(host), port: Number(address.slice(colon + 1)) });
  } catch (error) {
    // An unknown host or no route: the registry's silence will say so.
    if (error instanceof LibcError) return undefined;
    throw error;
  }
}
