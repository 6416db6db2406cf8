import type { BootstrapAddress, SplicedBody } from "../request/index.ts";
import { Pool, type Connection, type ExchangeSink } from "../upstream/index.ts";
import { Breaker, type BreakerOptions } from "./breaker.ts";
import { Health } from "./health.ts";

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
  readonly breaker: Breaker;
  readonly health = new Health();
  /** Requests sent and not ended. */
  requests = 0;
  /** Their prompt tokens. */
  tokens = 0;
  /** Takes no new requests; running ones end. */
  draining = false;
  readonly #prefixes = new Map<string, string>();

  constructor(spec: WorkerSpec, options: WorkerOptions) {
    this.url = new URL(spec.url);
    this.name = this.url.origin;
    this.role = spec.role;
    this.apiKey = spec.apiKey;
    this.cost = spec.cost ?? 1;
    // URL keeps the brackets of an IPv6 literal, which is how SGLang wants it; a socket does not.
    this.bootstrap = { hostJson: JSON.stringify(this.url.hostname), port: spec.bootstrapPort ?? null };
    this.breaker = new Breaker(options.breaker);
    const secure = this.url.protocol === "https:";
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

  /** May be given a new request now. */
  get available(): boolean {
    return !this.draining && this.health.up && this.breaker.allows(performance.now());
  }

  /** POSTs JSON. `fields` are header lines in lower case, each ending in CRLF. */
  post(path: string, fields: string, body: SplicedBody, sink: ExchangeSink, fresh = false): Connection {
    return this.pool.send({ head: this.#prefix(path) + fields, body }, sink, "POST", fresh);
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

  #prefix(path: string): string {
    let prefix = this.#prefixes.get(path);
    if (prefix === undefined) {
      prefix = `POST ${this.#base()}${path} HTTP/1.1\r\nhost: ${this.url.host}\r\ncontent-type: application/json\r\n`;
      // Paths with queries come from clients: only a few are worth remembering.
      if (this.#prefixes.size < 64) this.#prefixes.set(path, prefix);
    }
    return prefix;
  }
}
