import type { BootstrapAddress } from "../request/index.ts";
import { Pool, type Connection, type ExchangeSink, type Outgoing } from "../upstream/index.ts";
import { Breaker, type BreakerOptions } from "./breaker.ts";
import { Health } from "./health.ts";
import { CELL, type SharedState } from "./shared-state.ts";

export type Role = "prefill" | "decode";

export interface WorkerSpec {
  readonly url: string;
  readonly role: Role;
  /** A prefill's bootstrap port; null leaves it to the engine. */
  readonly bootstrapPort?: number | null;
  /** Sent as a bearer token where the client sent none of its own. */
  readonly apiKey?: string;
  /** Relative cost of this worker for policies that weigh (1 is ordinary). */
  readonly cost?: number;
}

export interface WorkerOptions {
  /** ms */
  readonly connectTimeout: number;
  /** ms an idle connection may be used again. */
  readonly idleTimeout: number;
  readonly maxIdle: number;
  readonly breaker: BreakerOptions;
  /** Checks of upstream certificates. */
  readonly tls?: Bun.TLSOptions;
}

/** The first lines of every request to one path, without and with the worker's key. */
interface Prefix {
  readonly path: string;
  readonly bare: Buffer;
  readonly keyed: Buffer;
}

const NO_OPTIONS: { readonly ownKey?: boolean; readonly fresh?: boolean } = {};

/** One prefill or decode server: its address, its connections, and what is known of its state. */
export class Worker {
  readonly url: URL;
  /** Scheme, host and port: what names the worker in logs, headers and the admin interface. */
  readonly name: string;
  readonly role: Role;
  readonly apiKey: string | undefined;
  readonly cost: number;
  readonly bootstrap: BootstrapAddress;
  readonly pool: Pool;
  /** For `fetch`: how to check its certificate. */
  readonly tlsForFetch: { readonly tls?: Bun.TLSOptions };
  readonly breaker: Breaker;
  readonly health: Health;
  /** Where its shared cells are. */
  readonly slot: number;
  readonly #cells: Int32Array<SharedArrayBuffer>;
  readonly #prefixes = new Map<string, Prefix>();
  #lastPrefix: Prefix | undefined;

  constructor(spec: WorkerSpec, options: WorkerOptions, shared: SharedState, slot: number) {
    this.slot = slot;
    this.#cells = shared.cells(slot);
    this.health = new Health(this.#cells);
    this.url = new URL(spec.url);
    this.name = this.url.origin;
    this.role = spec.role;
    this.apiKey = spec.apiKey;
    this.cost = spec.cost ?? 1;
    // URL keeps the brackets of an IPv6 literal, which is how SGLang wants it; a socket does not.
    this.bootstrap = { hostJson: JSON.stringify(this.url.hostname), port: spec.bootstrapPort ?? null };
    this.breaker = new Breaker(options.breaker, shared, this.#cells);
    const secure = this.url.protocol === "https:";
    this.tlsForFetch = secure && options.tls !== undefined ? { tls: options.tls } : {};
    const hostname = this.url.hostname.replace(/^\[|\]$/g, "");
    const target = {
      name: this.name,
      hostname,
      port: Number(this.url.port) || (secure ? 443 : 80),
      tls: secure && { serverName: hostname, ...options.tls },
      connectTimeout: options.connectTimeout,
    };
    this.pool = new Pool(target, { idleTimeout: options.idleTimeout, maxIdle: options.maxIdle });
  }

  /** Requests sent by all threads and not ended. */
  get requests(): number {
    return this.#cells[CELL.requests]!;
  }

  /** Their prompt tokens. */
  get tokens(): number {
    return this.#cells[CELL.tokens]!;
  }

  /** Takes no new requests; running ones end. */
  get draining(): boolean {
    return this.#cells[CELL.draining] !== 0;
  }

  set draining(value: boolean) {
    Atomics.store(this.#cells, CELL.draining, value ? 1 : 0);
  }

  /** May be given a new request now. */
  get available(): boolean {
    return this.#cells[CELL.draining] === 0 && this.#cells[CELL.down] === 0 && this.breaker.allows();
  }

  /** A request with this many prompt tokens is sent. */
  begin(tokens: number): void {
    Atomics.add(this.#cells, CELL.requests, 1);
    Atomics.add(this.#cells, CELL.tokens, tokens);
    this.breaker.begin();
  }

  /** It is over. */
  end(tokens: number): void {
    Atomics.sub(this.#cells, CELL.requests, 1);
    Atomics.sub(this.#cells, CELL.tokens, tokens);
    this.breaker.release();
  }

  /** POSTs JSON; with `ownKey`, the key that this worker was given. */
  post(
    path: string,
    message: Outgoing,
    sink: ExchangeSink,
    { ownKey = false, fresh = false } = NO_OPTIONS,
  ): Connection {
    const last = this.#lastPrefix;
    const prefix = last !== undefined && last.path === path ? last : this.#prefix(path);
    return this.pool.send(ownKey ? prefix.keyed : prefix.bare, message, sink, "POST", fresh);
  }

  /** Absolute address of a path on this worker, for `fetch`. */
  address(path: string): string {
    return this.name + this.#base() + path;
  }

  close(): void {
    this.pool.close();
  }

  #base(): string {
    return this.url.pathname.replace(/\/+$/, "");
  }

  #prefix(path: string): Prefix {
    let prefix = this.#prefixes.get(path);
    if (prefix === undefined) {
      const text = `POST ${this.#base()}${path} HTTP/1.1\r\nhost: ${this.url.host}\r\ncontent-type: application/json\r\n`;
      const key = this.apiKey === undefined ? "" : `authorization: Bearer ${this.apiKey}\r\n`;
      prefix = { path, bare: Buffer.from(text, "latin1"), keyed: Buffer.from(text + key, "latin1") };
      // Paths with queries come from clients: only a few are worth remembering.
      if (this.#prefixes.size < 64) this.#prefixes.set(path, prefix);
    }
    this.#lastPrefix = prefix;
    return prefix;
  }
}
