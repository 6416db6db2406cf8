import { Balancer } from "../../../lb/balancer.ts";
import { parseOptions } from "../../../lb/config/index.ts";
import { serve } from "../../../lb/server.ts";

/** `PREFILL_URL BOOTSTRAP_PORT DECODE_URL API_KEY` of SGLang servers that run; `recordings/record.ts` says how. */
const [prefill, bootstrapPort, decode, apiKey] = (process.env["KVWIRE_TEST_SGLANG"] ?? "").split(" ");

/** The load balancer in front of real SGLang servers. */
export class RealServers {
  static readonly available = apiKey !== undefined;
  readonly balancer: Balancer;
  readonly url: string;
  readonly #server: ReturnType<typeof serve>;

  constructor() {
    const workers = { prefill: [{ url: prefill!, bootstrapPort: Number(bootstrapPort) }], decode: [{ url: decode! }] };
    const options = { host: "127.0.0.1", port: 0, logLevel: "silent", workerApiKey: apiKey!, ...workers } as const;
    this.balancer = new Balancer(parseOptions({ ...options, healthCheckIntervalSecs: 1 }));
    this.balancer.addConfigured();
    this.#server = serve(this.balancer, 0);
    this.url = `http://127.0.0.1:${this.#server.port}`;
  }

  post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
    return fetch(this.url + path, { method: "POST", body: JSON.stringify(body), ...init });
  }

  /** Requests that either engine has, running or waiting. */
  async busy(): Promise<number> {
    const loads = (await (await fetch(`${this.url}/get_loads`)).json()) as { engine: { loads: Load[] } }[];
    const counts = loads.flatMap(({ engine }) => engine.loads);
    return counts.reduce((sum, load) => sum + load.num_running_reqs + load.num_waiting_reqs, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.balancer.close();
    this.#server.stop();
  }
}

interface Load {
  readonly num_running_reqs: number;
  readonly num_waiting_reqs: number;
}
