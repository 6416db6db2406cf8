import { type InternetAddress, resolveHost, TcpListener, type TcpSocket } from "../../../ffi/libc/index.ts";
import { type Greeting, Lobby } from "../pairs/index.ts";
import type {
  InboundEnd,
  InboundEvents,
  OutboundEnd,
  OutboundEvents,
  Transport,
  TransportContext,
  TransportFactory,
} from "../transport.ts";
import { helloSchema } from "./frames.ts";
import { GreetingReader } from "./greeting.ts";
import { TcpInbound } from "./inbound.ts";
import { type TcpOptions, tcpOptionsSchema } from "./options.ts";
import { TcpOutbound } from "./outbound.ts";

/** One listening port for all senders of a decode rank, one connection a pair. */
class TcpTransport implements Transport {
  readonly name = "tcp";
  readonly #context: TransportContext;
  readonly #options: TcpOptions;
  /** By the host that peers are told. */
  readonly #listening = new Map<string, { readonly address: InternetAddress; readonly lobby: Lobby<TcpSocket> }>();
  readonly #inbound = new Map<string, TcpInbound>();
  readonly #outbound = new Set<TcpOutbound>();

  constructor(context: TransportContext, options: TcpOptions) {
    this.#context = context;
    this.#options = options;
    if (context.role === "decode" && context.advertiseHost !== undefined) this.#listen(context.advertiseHost);
  }

  openInbound(peer: string, events: InboundEvents, host = "127.0.0.1"): InboundEnd {
    const { address } = this.#listen(this.#context.advertiseHost ?? host);
    const inbound: TcpInbound = new TcpInbound({
      peer,
      address,
      context: this.#context,
      options: this.#options,
      events,
      onClose: () => this.#inbound.delete(inbound.token),
    });
    this.#inbound.set(inbound.token, inbound);
    return inbound;
  }

  openOutbound(peer: string, offer: unknown, events: OutboundEvents): OutboundEnd {
    const outbound: TcpOutbound = new TcpOutbound(offer, {
      peer,
      context: this.#context,
      options: this.#options,
      events,
      onClose: () => this.#outbound.delete(outbound),
    });
    this.#outbound.add(outbound);
    return outbound;
  }

  close(): void {
    for (const end of [...this.#outbound, ...this.#inbound.values()]) end.close();
    for (const { lobby } of this.#listening.values()) lobby.close();
    this.#listening.clear();
  }

  #listen(name: string): { readonly address: InternetAddress; readonly lobby: Lobby<TcpSocket> } {
    const known = this.#listening.get(name);
    if (known) return known;
    const options = this.#options;
    const host = resolveHost(name);
    const at = { host: options.host === undefined ? host : resolveHost(options.host), port: options.port };
    // A connection inherits the listener's buffers, and only from the start do they count for the window scale.
    const buffers = options.receiveBufferBytes ? { receiveBytes: options.receiveBufferBytes } : {};
    const listener = TcpListener.listen(at, buffers);
    const lobby = new Lobby(listener, this.#context, (socket) => {
      const greeting = new GreetingReader(socket);
      return () => this.#greet(socket, greeting);
    });
    const listening = { address: { host, port: listener.address.port }, lobby };
    this.#listening.set(name, listening);
    return listening;
  }

  /** A stranger's first bytes: a hello with a token that is waited for, or the door. */
  #greet(socket: TcpSocket, greeting: GreetingReader): Greeting {
    let said: { readonly value: unknown } | undefined;
    try {
      said = greeting.read();
    } catch {
      return "refused";
    }
    if (!said) return "waiting";
    const hello = helloSchema.safeParse(said.value);
    const inbound = hello.success ? this.#inbound.get(hello.data.token) : undefined;
    if (!hello.success || !inbound || inbound.taken) return "refused";
    return () => inbound.adopt(socket, hello.data);
  }
}

/** Sockets: works anywhere. Neither encrypted nor authenticated beyond the token that came through the registry. */
export const createTcpTransport: TransportFactory = (context) => {
  const options = tcpOptionsSchema.parse(context.options);
  try {
    return new TcpTransport(context, options);
  } catch (error) {
    return { unusable: `cannot listen: ${error instanceof Error ? error.message : String(error)}` };
  }
};
