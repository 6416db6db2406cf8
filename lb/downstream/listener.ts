import { tick } from "../clock.ts";
import { bridge, type FetchHandler } from "./bridge.ts";
import { Connection, type ConnectionOwner, type ReceivedRequest } from "./connection.ts";

const PATIENCE = 60_000;
const SWEEP_EVERY = 1000;

export interface ListenerOptions {
  readonly hostname: string;
  readonly port: number;
  /** Several listeners share the port, and the kernel connections between them. */
  readonly reusePort?: boolean;
  /** Bytes of a client's body. */
  readonly maxBody: number;
  /** ms that a client may take for its next move in the middle of a request or of reading its answer. */
  readonly patience?: number;
  /** Takes a request of its own over, and says so by true. */
  readonly take: (connection: Connection, request: ReceivedRequest) => boolean;
  /** Answers all others. */
  readonly fetch: FetchHandler;
  readonly onError: (error: unknown) => void;
}

/** An HTTP/1.1 server. */
export class Listener implements ConnectionOwner {
  readonly #options: ListenerOptions;
  readonly #listener: Bun.TCPSocketListener<Connection>;
  readonly #connections = new Set<Connection>();
  readonly #waiting = new Set<Connection>();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly maxBody: number;

  constructor(options: ListenerOptions) {
    const { hostname, port, reusePort = false } = options;
    this.#options = options;
    this.maxBody = options.maxBody;
    const address = { hostname, port, reusePort };
    this.#listener = Bun.listen<Connection>({
      ...address,
      socket: {
        open: (socket) => {
          socket.setNoDelay(true);
          socket.data = new Connection(this, socket);
          this.#connections.add(socket.data);
        },
        data: (socket, bytes) => socket.data.onData(bytes),
        drain: (socket) => socket.data.onDrain(),
        close: (socket) => socket.data.onClose(),
        error: (socket, error) => {
          // A reset has a code; what has none was thrown here.
          if (!("code" in error)) this.onError(error);
          socket.terminate();
        },
      },
    });
    const { patience = PATIENCE } = options;
    this.#timer = setInterval(() => this.#sweep(patience), Math.min(SWEEP_EVERY, patience));
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Stops listening and closes all connections. */
  stop(): void {
    clearInterval(this.#timer);
    this.#listener.stop(true);
    for (const connection of this.#connections) connection.terminate();
  }

  onRequest(connection: Connection, request: ReceivedRequest): void {
    if (this.#options.take(connection, request)) return;
    bridge(this.#options.fetch, connection, request).catch((error: unknown) => {
      this.onError(error);
      connection.terminate();
    });
  }

  onWaiting(connection: Connection, waiting: boolean): void {
    if (!waiting) this.#waiting.delete(connection);
    else {
      connection.movedAt = tick();
      this.#waiting.add(connection);
    }
  }

  onClosed(connection: Connection): void {
    this.#connections.delete(connection);
  }

  onError(error: unknown): void {
    this.#options.onError(error);
  }

  #sweep(patience: number): void {
    const oldest = tick() - patience;
    for (const connection of this.#waiting) if (connection.movedAt < oldest) connection.overdue();
  }
}
