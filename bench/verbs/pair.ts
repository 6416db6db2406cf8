import { join } from "node:path";
import { type Address, Endpoint } from "./endpoint.ts";
import type { Order } from "./peer.ts";
import { pin, processors } from "./processor.ts";
import { type Latency, type Operation, pingPong, stream } from "./workloads.ts";

/** This process and the peer's, connected. */
export class Pair implements Disposable {
  readonly #endpoint = new Endpoint();
  readonly #peer: Bun.Subprocess;
  readonly #heard: unknown[] = [];
  #wake: (() => void) | undefined;
  #remote: Address | undefined;

  private constructor() {
    this.#peer = Bun.spawn([process.execPath, join(import.meta.dir, "peer.ts")], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message) => {
        this.#heard.push(message);
        this.#wake?.();
      },
    });
  }

  static async open(): Promise<Pair> {
    const pair = new Pair();
    pair.#remote = (await pair.#hear()) as Address;
    pair.#endpoint.connect(pair.#remote);
    await pair.#tell({ order: "connect", remote: pair.#endpoint.own });
    return pair;
  }

  /** @returns seconds for all messages. */
  async stream(operation: Operation, size: number, count: number): Promise<number> {
    if (operation === "send") await this.#tell({ order: "receive", size, count });
    const seconds = stream(this.#endpoint, this.#remote!, operation, size, count);
    if (operation === "send") await this.#hear();
    return seconds;
  }

  /** Gives each process a processor, as perftest's have one here. */
  pin(): void {
    pin(process.pid, processors.client);
    pin(this.#peer.pid, processors.server);
  }

  async latency(count: number): Promise<Latency> {
    await this.#tell({ order: "echo", count });
    const latency = pingPong(this.#endpoint, this.#remote!, count, true);
    await this.#hear();
    return latency;
  }

  [Symbol.dispose](): void {
    this.#peer.kill();
    this.#endpoint.context.close();
  }

  async #tell(order: Order): Promise<void> {
    this.#peer.send(order);
    await this.#hear();
  }

  async #hear(): Promise<unknown> {
    while (this.#heard.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#heard.shift();
  }
}
