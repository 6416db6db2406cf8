import type { Logger } from "pino";
import packageJson from "../package.json" with { type: "json" };
import type { ServerArgs } from "./args.ts";
import { Engine } from "./engine.ts";
import { createApp, serve } from "./server/index.ts";

export interface RunningServer {
  readonly engine: Engine;
  readonly url: string;
  /** Ends the requests, stops listening, gives the memory back. */
  close(): Promise<void>;
}

/** Loads an engine, serves it and warms it up; `/health` answers 503 in between. @throws {CheckpointError | OptionError} */
export async function launch(args: ServerArgs, log: Logger): Promise<RunningServer> {
  const engine = await Engine.create(args.engine);
  const { pool } = engine;
  log.info({ pages: pool.allocator.pages, pageSize: pool.pageSize, context: engine.contextLength }, "model loaded");
  if (engine.transfer) {
    const { transports, unusableTransports: unusable } = engine.transfer.manager;
    log.info({ transports, unusable, bootstrapPort: engine.transfer.bootstrapPort }, "transfer ready");
  }
  const app = createApp(engine, {
    apiKey: args.apiKey,
    log,
    identity: () => ({
      host: server.host,
      port: server.port,
      version: packageJson.version,
      bootstrapPort: engine.transfer?.bootstrapPort ?? args.bootstrapPort,
    }),
  });
  const server = serve(app, args.host, args.port);
  const close = async () => {
    await engine.close();
    await server.close();
  };
  try {
    await engine.warmUp();
  } catch (cause) {
    await close();
    throw cause;
  }
  return { engine, url: server.url, close };
}
