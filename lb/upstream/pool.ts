import { now } from "../clock.ts";
import { Connection, type ConnectionOwner, type ConnectionTarget, type ExchangeSink } from "./connection.ts";
import type { Outgoing } from "./outgoing.ts";

export interface PoolOptions {
  /** How long an idle connection may be used again, in ms. Below the worker's own keep-alive (5 s for SGLang). */
  readonly idleTimeout: number;
  /** Idle connections kept. */
  readonly maxIdle: number;
}

/** Keep-alive connections to one worker; as many at once as there are exchanges, the most recently used first. */
export class Pool implements ConnectionOwner {
  readonly #target: ConnectionTarget;
  readonly #options: PoolOptions;
  readonly #idle: Connection[] = [];
  readonly #open = new Set<Connection>();

  constructor(target: ConnectionTarget, options: PoolOptions) {
    this.#target = target;
    this.#options = options;
  }

  get open(): number {
    return this.#open.size;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** Starts an exchange; `prefix` is the request line and the header lines of this worker's own. The connection is what `cancel`, `pause` and `resume` are called on. */
  send(prefix: Buffer, message: Outgoing, sink: ExchangeSink, method = "POST", fresh = false): Connection {
    const connection = (fresh ? undefined : this.#takeIdle()) ?? this.#connect();
    connection.send(prefix, message, sink, method);
    return connection;
  }

  /** Closes idle connections that the worker is about to close. */
  sweep(now: number): void {
    const oldest = now - this.#options.idleTimeout;
    while (this.#idle.length > 0 && this.#idle[0]!.idleSince < oldest) this.#idle[0]!.close();
  }

  /** Closes everything; exchanges that still run hear nothing more. */
  close(): void {
    for (const connection of this.#open) connection.close();
  }

  onIdle(connection: Connection): void {
    connection.idleSince = now();
    this.#idle.push(connection);
    if (this.#idle.length > this.#options.maxIdle) this.#idle[0]!.close();
  }

  onClosed(connection: Connection): void {
    this.#open.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  #takeIdle(): Connection | undefined {
    const connection = this.#idle.pop();
    if (connection === undefined) return undefined;
    if (now() - connection.idleSince <= this.#options.idleTimeout) return connection;
    connection.close();
    return undefined;
  }

  #connect(): Connection {
    const connection = new Connection(this.#target, this);
    this.#open.add(connection);
    return connection;
  }
}
