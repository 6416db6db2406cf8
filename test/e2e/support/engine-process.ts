import { join } from "node:path";
import { bootstrapPortOf, type EngineProcessOptions, startEngine } from "../../../engine/demo/servers.ts";
import type { ServerProcess } from "../../../engine/demo/server-process.ts";
import { readCounter } from "../../../engine/demo/transfer-figures.ts";
import { type ModelName, modelsDirectory } from "../../engine/references.ts";
import { until } from "../../lib/process/peer.ts";

export interface EngineOptions {
  readonly mode: "prefill" | "decode";
  readonly model?: ModelName;
  /** Of the engine's command line. */
  readonly options?: readonly string[];
}

const GAUGES = ["live_requests", "kv_pages_used", "rooms", "rooms_early"] as const;
type Gauge = (typeof GAUGES)[number] | "running_requests" | "pairs";

/** A prefill or a decode server in a process of its own, as the tests look at it. */
export class EngineProcess implements AsyncDisposable {
  readonly mode: "prefill" | "decode";
  url = "";
  bootstrapPort = 0;
  readonly #options: EngineProcessOptions;
  #server: ServerProcess;

  private constructor({ mode, model = "kjv-llama-4m", options = [] }: EngineOptions) {
    this.mode = mode;
    this.#options = { mode, model: join(modelsDirectory, model), options: ["--log-level", "warn", ...options] };
    this.#server = startEngine(this.#options);
  }

  static async start(options: EngineOptions): Promise<EngineProcess> {
    const engine = new EngineProcess(options);
    engine.url = await engine.#server.ready;
    if (engine.mode === "prefill") engine.bootstrapPort = await bootstrapPortOf(engine.url);
    return engine;
  }

  get pid(): number {
    return this.#server.pid;
  }

  signal(name: NodeJS.Signals): void {
    this.#server.signal(name);
  }

  async kill(): Promise<void> {
    this.#server.kill();
    await this.#server.ended;
  }

  /** Starts it again, where it was. */
  async restart(): Promise<void> {
    const { bootstrapPort } = this;
    this.#server = startEngine({ ...this.#options, port: Number(new URL(this.url).port), bootstrapPort });
    await this.#server.ready;
  }

  async gauge(name: Gauge): Promise<number> {
    return readCounter(await this.#metrics(), `kvwire_engine_${name}`);
  }

  /** Requests that came to their natural end. */
  async completed(): Promise<number> {
    const page = await this.#metrics();
    const counted = page
      .split("\n")
      .filter((line) => /^kvwire_engine_requests_total{.*reason="(stop|length)"/.test(line));
    return counted.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  }

  /** What it holds: all zero when it is at rest. */
  async holdings(): Promise<Record<(typeof GAUGES)[number], number>> {
    const page = await this.#metrics();
    const entries = GAUGES.map((name) => [name, readCounter(page, `kvwire_engine_${name}`)]);
    return Object.fromEntries(entries) as Record<(typeof GAUGES)[number], number>;
  }

  /** Waits until it holds no request, page or room. */
  async atRest(limitMs = 10_000): Promise<void> {
    const rests = (seen: object): boolean => Object.values(seen).every((count) => count === 0);
    await until(`${this.mode} to be at rest`, () => this.holdings(), rests, limitMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop();
  }

  async #metrics(): Promise<string> {
    const response = await fetch(`${this.url}/metrics`, { keepalive: false });
    return response.text();
  }
}
