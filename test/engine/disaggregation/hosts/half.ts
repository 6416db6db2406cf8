import { spyOn } from "bun:test";
import { type Answer, readAnswer, startServer, type TestServer, until } from "../../serving.ts";
import { type ModelName, modelNames } from "../../references.ts";

/** What a half answers of a list of prompts. */
export interface Generated {
  readonly outputs: readonly (readonly number[])[];
  /** By which the rooms came, each once. */
  readonly transports: readonly string[];
  /** Prompts with pages that do not follow each other in the pool. */
  readonly fragmented: number;
}

export interface Ask {
  readonly model: ModelName;
  readonly prompts: readonly string[];
  readonly tokens: number;
  /** Prefill's registry, and the first prompt's room. */
  readonly host: string;
  readonly port: number;
  readonly room: number;
}

/** Small pages, so that a prompt has several, and more retries than a machine that is emulated can sleep through. */
const OPTIONS = { pageSize: 2, maxTotalTokens: 1_024, maxRunningRequests: 16 };
const VERBS = { timeout: 17 };
const LEASE_MS = 30_000;

/** One half of a pair over verbs, with an engine for each model. */
export class Half {
  readonly #servers: ReadonlyMap<ModelName, TestServer>;

  private constructor(servers: ReadonlyMap<ModelName, TestServer>) {
    this.#servers = servers;
  }

  static async start(mode: "prefill" | "decode", bootstrapHost: string): Promise<Half> {
    const reach = { bootstrapHost, bootstrapPort: 0, transferBackend: "verbs", leaseMs: LEASE_MS };
    const disaggregation = { ...reach, transferOptions: { verbs: VERBS } };
    const servers = new Map<ModelName, TestServer>();
    for (const model of modelNames) {
      servers.set(model, await startServer(model, { ...OPTIONS, disaggregationMode: mode, disaggregation }));
    }
    return new Half(servers);
  }

  /** Where prefill's registries listen. */
  get ports(): Record<ModelName, number> {
    const entries = [...this.#servers].map(([model, { engine }]) => [model, engine.transfer!.bootstrapPort]);
    return Object.fromEntries(entries) as Record<ModelName, number>;
  }

  /** Has all prompts answered at once, and holds nothing afterwards. */
  async generate({ model, prompts, tokens, host, port, room }: Ask): Promise<Generated> {
    const { engine, post } = this.#servers.get(model)!;
    const allocate = spyOn(engine.pool.allocator, "allocate");
    const answers = await Promise.all(
      prompts.map(async (text, index): Promise<Answer> => {
        const meeting = { bootstrap_host: host, bootstrap_port: port, bootstrap_room: room + index };
        const sampling_params = { temperature: 0, max_new_tokens: tokens };
        return readAnswer(await post("/generate", { text, sampling_params, ...meeting }));
      }),
    );
    const taken = allocate.mock.results.map(({ value }) => [...(value as Int32Array)]);
    allocate.mockRestore();
    const { pool, scheduler, transfer } = engine;
    const held = (): number[] => [scheduler.liveCount, pool.allocator.used, transfer!.manager.figures.rooms];
    await until(() => held().every((count) => count === 0), "the half to hold nothing", 30_000);
    const reports = answers.map(({ meta_info: meta }) => meta["kv_transfer"] as { transport: string });
    return {
      outputs: answers.map(({ output_ids }) => output_ids),
      transports: [...new Set(reports.map(({ transport }) => transport))],
      fragmented: taken.filter((pages) => pages.some((page, i) => i > 0 && page !== pages[i - 1]! + 1)).length,
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#servers.values()].map(({ engine }) => engine.close()));
  }
}
