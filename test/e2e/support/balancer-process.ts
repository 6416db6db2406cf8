import { startBalancer } from "../../../engine/demo/servers.ts";
import type { ServerProcess } from "../../../engine/demo/server-process.ts";
import type { EngineProcess } from "./engine-process.ts";

/** A load balancer in a process of its own. */
export class BalancerProcess implements AsyncDisposable {
  url = "";
  readonly #server: ServerProcess;

  private constructor(server: ServerProcess) {
    this.#server = server;
  }

  static async start(
    prefill: readonly EngineProcess[],
    decode: readonly EngineProcess[],
    options: readonly string[] = [],
  ): Promise<BalancerProcess> {
    const server = startBalancer({ prefill, decode: decode.map(({ url }) => url), options });
    const balancer = new BalancerProcess(server);
    balancer.url = await server.ready;
    return balancer;
  }

  get pid(): number {
    return this.#server.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop();
  }
}
