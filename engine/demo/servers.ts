import { join } from "node:path";
import { z } from "zod";
import type { DisaggregationMode } from "../scheduler/index.ts";
import { ServerProcess } from "./server-process.ts";

const ENGINE = join(import.meta.dir, "../main.ts");
const BALANCER = join(import.meta.dir, "../../lb/main.ts");
const HOST = "127.0.0.1";

export interface EngineProcessOptions {
  readonly name?: string;
  readonly model: string;
  readonly mode: DisaggregationMode;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** Prefill: where its registry listens; 0, the default, takes a free port. */
  readonly bootstrapPort?: number;
  /** Further options of the engine's command line. */
  readonly options?: readonly string[];
  readonly onLine?: (line: string) => void;
}

const readySchema = z.object({ event: z.literal("ready"), url: z.string() });

/** An engine in a process of its own, on this host. */
export function startEngine(asked: EngineProcessOptions): ServerProcess {
  const { name = asked.mode, model, mode, port = 0, bootstrapPort = 0, options = [], onLine } = asked;
  const where = ["--model-path", model, "--host", HOST, "--port", `${port}`];
  const half = ["--disaggregation-mode", mode, "--disaggregation-bootstrap-port", `${bootstrapPort}`];
  return new ServerProcess({
    name,
    script: [ENGINE, ...where, ...half, ...options],
    // Other lines may begin like JSON, too: errors that the runtime prints do.
    readUrl: (line) => (line.startsWith('{"event":') ? readySchema.parse(JSON.parse(line)).url : undefined),
    ...(onLine ? { onLine } : {}),
  });
}

export interface PrefillAddress {
  readonly url: string;
  readonly bootstrapPort: number;
}

export interface BalancerProcessOptions {
  readonly prefill: readonly PrefillAddress[];
  /** Addresses. */
  readonly decode: readonly string[];
  readonly options?: readonly string[];
  readonly onLine?: (line: string) => void;
}

const listeningSchema = z.object({ msg: z.literal("listening"), host: z.string(), port: z.number() });

/** A load balancer in a process of its own, on a free port of this host. */
export function startBalancer({ prefill, decode, options = [], onLine }: BalancerProcessOptions): ServerProcess {
  const workers = [
    ...prefill.flatMap(({ url, bootstrapPort }) => ["--prefill", url, `${bootstrapPort}`]),
    ...decode.flatMap((url) => ["--decode", url]),
  ];
  return new ServerProcess({
    name: "load balancer",
    script: [BALANCER, ...workers, "--host", HOST, "--port", "0", ...options],
    readUrl: (line) => {
      const log = line.startsWith("{") ? listeningSchema.safeParse(JSON.parse(line)).data : undefined;
      return log && `http://${log.host}:${log.port}`;
    },
    ...(onLine ? { onLine } : {}),
  });
}

const serverInfoSchema = z.object({ disaggregation_bootstrap_port: z.number(), page_size: z.number() });

async function readServerInfo(url: string): Promise<z.infer<typeof serverInfoSchema>> {
  return serverInfoSchema.parse(await (await fetch(`${url}/get_server_info`)).json());
}

/** Where a prefill server's registry listens. */
export async function bootstrapPortOf(url: string): Promise<number> {
  return (await readServerInfo(url)).disaggregation_bootstrap_port;
}

/** Tokens per page of a server's pool. */
export async function pageSizeOf(url: string): Promise<number> {
  return (await readServerInfo(url)).page_size;
}
