import type { Socket } from "bun";
import { tick } from "../clock.ts";
import { ProtocolError, ResponseParser, type ResponseHead, type ResponseSink } from "../wire/index.ts";
import { sendOutgoing, sendPieces, type Outgoing } from "./outgoing.ts";
import { UpstreamError, type UpstreamFailure } from "./upstream-error.ts";

/** Receives one response, or the reason why there is none: `onFailure` comes at most once and nothing follows it. */
export interface ExchangeSink extends ResponseSink {
  onFailure(error: UpstreamError): void;
}

export interface ConnectionTarget {
  readonly name: string;
  readonly hostname: string;
  readonly port: number;
  readonly tls: boolean | Bun.TLSOptions;
  readonly connectTimeout: number;
}

/** What the pool hears of its connections. */
export interface ConnectionOwner {
  onIdle(connection: Connection): void;
  onClosed(connection: Connection): void;
}

/** One connection to a worker, carrying one exchange at a time. */
export class Connection {
  readonly #target: ConnectionTarget;
  readonly #owner: ConnectionOwner;
  readonly #parser = new ResponseParser();
  #socket: Socket<Connection> | undefined;
  #sink: ExchangeSink | undefined;
  /** What waits for the connection to open, and what waits for the socket to take more. */
  #waiting: readonly [prefix: Buffer, message: Outgoing] | undefined;
  #unsent: Buffer[] = [];
  #paused = false;
  #closed = false;
  #ended = false;
  #used = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the connection last became idle. */
  idleSince = 0;

  constructor(target: ConnectionTarget, owner: ConnectionOwner) {
    this.#target = target;
    this.#owner = owner;
    this.#timer = setTimeout(
      () => this.#fail("CONNECT_TIMEOUT", `no connection within ${target.connectTimeout} ms`),
      target.connectTimeout,
    );
    Bun.connect({ hostname: target.hostname, port: target.port, tls: target.tls, data: this, socket: HANDLERS }).catch(
      (error: unknown) => this.onConnectError(error),
    );
  }

  /** Sends a request and gives its response to `sink`. */
  send(prefix: Buffer, message: Outgoing, sink: ExchangeSink, method: string): void {
    this.#sink = sink;
    this.#parser.begin(this, method);
    if (this.#socket === undefined) this.#waiting = [prefix, message];
    else this.#unsent = sendOutgoing(prefix, message, this.#write);
  }

  /** Gives an unfinished exchange up: the connection closes and `sink` hears nothing more. */
  cancel(sink: ExchangeSink): void {
    if (this.#sink !== sink) return;
    this.#sink = undefined;
    this.close();
  }

  /** Stops reading, so that a slow client slows the worker down. */
  pause(sink: ExchangeSink): void {
    if (this.#sink !== sink || this.#paused) return;
    this.#paused = true;
    this.#socket?.pause();
  }

  resume(sink: ExchangeSink): void {
    if (this.#sink !== sink || !this.#paused) return;
    this.#paused = false;
    this.#socket?.resume();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.terminate();
    this.#owner.onClosed(this);
  }

  onHead(head: ResponseHead): void {
    this.#sink?.onHead(head);
  }

  onBody(bytes: Buffer, start: number, end: number, chunks: number): void {
    this.#sink?.onBody(bytes, start, end, chunks);
  }

  onEnd(reusable: boolean): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#used = true;
    if (this.#paused) {
      this.#paused = false;
      this.#socket?.resume();
    }
    // A body still unsent means that the worker answered early: what it would read next is not a request.
    if (reusable && this.#unsent.length === 0 && !this.#ended && !this.#closed) this.#owner.onIdle(this);
    else this.close();
    sink?.onEnd(reusable);
  }

  onOpen(socket: Socket<Connection>): void {
    clearTimeout(this.#timer);
    if (this.#closed) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    socket.setNoDelay(true);
    if (this.#paused) socket.pause();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) this.#unsent = sendOutgoing(...waiting, this.#write);
  }

  onData(bytes: Buffer): void {
    tick();
    try {
      this.#parser.push(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#fail("PROTOCOL", error.message, error);
    }
  }

  onDrain(): void {
    if (this.#unsent.length > 0) this.#unsent = sendPieces(this.#unsent, this.#write);
  }

  /** The worker closed its side in an orderly way. */
  onPeerEnd(): void {
    tick();
    this.#ended = true;
    try {
      this.#parser.eof();
    } catch (error) {
      this.#lost(error);
    }
    this.close();
  }

  onSocketClose(error: unknown): void {
    this.#lost(error);
  }

  onConnectError(error: unknown): void {
    this.#fail("CONNECT_FAILED", `connection failed: ${error instanceof Error ? error.message : String(error)}`, error);
  }

  // -1: the socket is closed; its close handler tells.
  readonly #write = (bytes: Buffer, start: number, length: number): number => this.#socket!.write(bytes, start, length);

  #lost(cause: unknown): void {
    if (this.#parser.started) this.#fail("TRUNCATED", "closed the connection in mid-response", cause);
    else if (this.#used) this.#fail("STALE_CONNECTION", "closed an idle connection just as it was used", cause);
    else this.#fail("RESET_BEFORE_HEAD", "closed the connection without an answer", cause);
  }

  #fail(code: UpstreamFailure, detail: string, cause?: unknown): void {
    tick();
    const sink = this.#sink;
    this.#sink = undefined;
    this.close();
    sink?.onFailure(new UpstreamError(code, this.#target.name, detail, cause));
  }
}

const HANDLERS: Bun.SocketHandler<Connection> = {
  open: (socket) => socket.data.onOpen(socket),
  data: (socket, bytes) => socket.data.onData(bytes),
  drain: (socket) => socket.data.onDrain(),
  end: (socket) => socket.data.onPeerEnd(),
  close: (socket, error) => socket.data.onSocketClose(error),
  error: (socket, error) => socket.data.onSocketClose(error),
  connectError: (socket, error) => socket.data.onConnectError(error),
};
