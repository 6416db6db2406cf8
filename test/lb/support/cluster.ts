import { Balancer } from "../../../lb/balancer.ts";
import { parseOptions, type OptionsInput } from "../../../lb/config/index.ts";
import { serve } from "../../../lb/server.ts";
import { MockWorker } from "./mock-worker.ts";
import { RoomHub } from "./room-hub.ts";

/** A load balancer on a free port in front of mock workers, all in this process. */
export class Cluster {
  readonly hub = new RoomHub();
  readonly prefills: MockWorker[];
  readonly decodes: MockWorker[];
  readonly balancer: Balancer;
  readonly server: ReturnType<typeof serve>;
  readonly url: string;

  constructor(options: OptionsInput = {}, { prefills = 1, decodes = 1 } = {}) {
    this.prefills = Array.from({ length: prefills }, () => new MockWorker("prefill", this.hub));
    this.decodes = Array.from({ length: decodes }, () => new MockWorker("decode", this.hub));
    this.balancer = new Balancer(
      parseOptions({
        host: "127.0.0.1",
        port: 0,
        healthCheckIntervalSecs: 0,
        logLevel: "silent",
        retryInitialBackoffMs: 1,
        prefill: this.prefills.map((worker) => ({ url: worker.url, bootstrapPort: 8998 })),
        decode: this.decodes.map((worker) => ({ url: worker.url })),
        ...options,
      }),
    );
    this.balancer.addConfigured();
    this.server = serve(this.balancer, 0);
    this.url = `http://127.0.0.1:${this.server.port}`;
  }

  get prefill(): MockWorker {
    return this.prefills[0]!;
  }

  get decode(): MockWorker {
    return this.decodes[0]!;
  }

  post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
    return fetch(this.url + path, {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...init,
      headers: { "content-type": "application/json", ...init.headers },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.balancer.close();
    for (const worker of [...this.prefills, ...this.decodes]) worker.stop();
    this.server.stop();
  }
}

/** Waits until `condition` holds, at most `deadline` ms; gives how long it took. */
export async function until(condition: () => boolean, deadline = 2000): Promise<number> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > deadline) throw new Error(`not within ${deadline} ms: ${condition.toString()}`);
    await Bun.sleep(2);
  }
  return performance.now() - start;
}

/** The data texts of an event stream. */
export async function events(response: Response): Promise<string[]> {
  const text = await response.text();
  return text
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => event.replace(/^data: /, ""));
}
