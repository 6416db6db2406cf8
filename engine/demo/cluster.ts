import { DemoError } from "./errors.ts";
import type { ServerProcess } from "./server-process.ts";
import { bootstrapPortOf, type PrefillAddress, startBalancer, startEngine } from "./servers.ts";

/** Loading and warming up: a few seconds for four million parameters on two cores, more than a minute where those are emulated. */
const START_DEADLINE_MS = 300_000;

export interface ClusterOptions {
  /** A checkpoint's directory. */
  readonly model: string;
  readonly transport: string;
  /** How many servers of each kind. */
  readonly prefill: number;
  readonly decode: number;
  /** Further options of the engines' command lines. */
  readonly engineOptions?: readonly string[];
  /** Told of each server as it becomes ready. */
  readonly onReady?: (name: string, where: string) => void;
}

/** Prefill servers, decode servers and the load balancer in front of them. */
export class Cluster implements AsyncDisposable {
  readonly prefill: PrefillAddress[] = [];
  readonly decode: string[] = [];
  balancer = "";
  /** Rejects with a {@link DemoError} when a server ends that nobody stopped; never resolves. */
  readonly died: Promise<never>;
  readonly #options: ClusterOptions;
  readonly #processes: ServerProcess[] = [];
  readonly #fail: (error: DemoError) => void;
  #stopping = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const died = Promise.withResolvers<never>();
    this.died = died.promise;
    this.#fail = died.reject;
    this.died.catch(() => undefined);
  }

  /** Settles when all servers are ready. @throws {DemoError} when one of them is not, with what it said last. */
  async start(): Promise<void> {
    const { model, transport, prefill, decode, engineOptions = [] } = this.#options;
    const options = ["--disaggregation-transfer-backend", transport, ...engineOptions];
    const start = (mode: "prefill" | "decode", count: number): ServerProcess[] =>
      Array.from({ length: count }, (_, i) => {
        const name = count > 1 ? `${mode} ${i + 1}` : mode;
        return this.#keep(startEngine({ name, model, mode, options }));
      });
    const prefills = start("prefill", prefill);
    const decodes = start("decode", decode);
    const readyPrefills = prefills.map(async (server): Promise<PrefillAddress> => {
      const url = await this.#ready(server);
      const bootstrapPort = await bootstrapPortOf(url);
      this.#options.onReady?.(server.name, `${url}, registry on port ${bootstrapPort}`);
      return { url, bootstrapPort };
    });
    const readyDecodes = decodes.map(async (server): Promise<string> => {
      const url = await this.#ready(server);
      this.#options.onReady?.(server.name, url);
      return url;
    });
    // All are awaited together: one that fails must not leave another's failure unhandled.
    const [prefillAddresses, decodeUrls] = await Promise.all([Promise.all(readyPrefills), Promise.all(readyDecodes)]);
    this.prefill.push(...prefillAddresses);
    this.decode.push(...decodeUrls);
    if (this.#stopping) return;
    const balancer = this.#keep(startBalancer({ prefill: this.prefill, decode: this.decode }));
    this.balancer = await this.#ready(balancer);
    this.#options.onReady?.(balancer.name, this.balancer);
  }

  /** Stops every server and waits until none is left. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#processes.map((server) => server.stop()));
  }

  /** For the last moment of this process. */
  kill(): void {
    this.#stopping = true;
    for (const server of this.#processes) server.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #keep(server: ServerProcess): ServerProcess {
    this.#processes.push(server);
    void server.ready
      .then(() => server.ended)
      .then(
        () => {
          if (!this.#stopping) this.#fail(server.failure("while it was needed"));
        },
        (error: DemoError) => {
          if (!this.#stopping) this.#fail(error);
        },
      );
    return server;
  }

  async #ready(server: ServerProcess): Promise<string> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new DemoError("DEADLINE", `${server.name} was not ready in ${START_DEADLINE_MS / 1000} s`)),
      START_DEADLINE_MS,
    );
    return Promise.race([server.ready, late.promise]).finally(() => clearTimeout(timer));
  }
}
