import { UnixListener, type UnixSocket } from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import { type Greeting, Lobby, randomToken } from "../pairs/index.ts";
import type {
  InboundEnd,
  InboundEvents,
  OutboundEnd,
  OutboundEvents,
  Transport,
  TransportContext,
} from "../transport.ts";
import type { ExposedMemory } from "./exposed-memory.ts";
import { FrameType, type Hello, helloSchema, MAX_FRAME_BYTES } from "./frames.ts";
import { InboundPair } from "./inbound-pair.ts";
import { OutboundPair } from "./outbound-pair.ts";
import type { PageWriterFactory } from "./page-writer.ts";
import { packMessage, unpackMessage } from "./pair-socket.ts";

const packet = NativeBuffer.allocate(MAX_FRAME_BYTES);

export interface HostTransportOptions {
  readonly name: string;
  readonly writers: PageWriterFactory;
  readonly memory: ExposedMemory;
  /** Lets go of what writers and memory share, after the last pair. */
  readonly close?: () => void;
}

/** Transports between processes of one host: one listening unix socket for all senders, one socket a pair. */
export class HostTransport implements Transport {
  readonly name: string;
  readonly #context: TransportContext;
  readonly #options: HostTransportOptions;
  readonly #inbound = new Map<string, InboundPair>();
  readonly #outbound = new Set<OutboundPair>();
  #lobby: { readonly name: string; readonly lobby: Lobby<UnixSocket> } | undefined;

  constructor(context: TransportContext, options: HostTransportOptions) {
    this.name = options.name;
    this.#context = context;
    this.#options = options;
  }

  openInbound(peer: string, events: InboundEvents): InboundEnd {
    const { name } = (this.#lobby ??= this.#listen());
    const pair = new InboundPair({
      transport: this.name,
      name,
      peer,
      context: this.#context,
      events,
      memory: this.#options.memory,
      onClose: () => this.#inbound.delete(pair.token),
    });
    this.#inbound.set(pair.token, pair);
    return pair;
  }

  openOutbound(peer: string, offer: unknown, events: OutboundEvents): OutboundEnd {
    const { writers } = this.#options;
    const pair: OutboundPair = new OutboundPair(offer, {
      transport: this.name,
      peer,
      context: this.#context,
      events,
      writers,
      onClose: () => this.#outbound.delete(pair),
    });
    this.#outbound.add(pair);
    return pair;
  }

  close(): void {
    for (const pair of [...this.#outbound, ...this.#inbound.values()]) pair.close();
    this.#lobby?.lobby.close();
    this.#lobby = undefined;
    this.#options.close?.();
  }

  #listen(): { name: string; lobby: Lobby<UnixSocket> } {
    const name = `kvwire-${this.name}-${randomToken()}`;
    const lobby = new Lobby(UnixListener.listen(name), this.#context, (socket) => () => this.#greet(socket));
    return { name, lobby };
  }

  /** A stranger's first packet: a hello with a token that is waited for, from the same user, or nothing. */
  #greet(socket: UnixSocket): Greeting {
    let length: number;
    try {
      length = socket.receive(packet.address, packet.byteLength);
    } catch {
      return "refused";
    }
    if (length < 0) return "waiting";
    const message = unpackMessage(packet, length);
    const hello = message?.type === FrameType.HELLO ? helloSchema.safeParse(message.value) : undefined;
    if (!hello?.success) return refuse(socket, "expected a hello of version 1");
    const pair = this.#inbound.get(hello.data.token);
    if (!pair || pair.taken || hello.data.transport !== this.name) return refuse(socket, "the token is not known");
    const { uid } = socket.peerCredentials;
    if (uid !== process.geteuid?.()) return refuse(socket, `the sender belongs to user ${uid}`, "EPERM");
    return () => adopt(pair, socket, hello.data);
  }
}

function adopt(pair: InboundPair, socket: UnixSocket, hello: Hello): void {
  // Two hellos with one token may have come in one turn of the poll loop.
  if (pair.taken) socket.close();
  else pair.adopt(socket, hello);
}

function refuse(socket: UnixSocket, reason: string, status?: string): "refused" {
  const answer = packMessage(FrameType.REFUSED, { reason, ...(status && { status }) });
  try {
    socket.send(answer.address, answer.byteLength);
  } catch {
    // It has gone already.
  }
  return "refused";
}
