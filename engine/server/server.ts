import type { Hono } from "hono";
import { OptionError } from "../errors.ts";

/** Never: long prefills, quiet streams and halves that wait for each other are no reason to hang up. */
const IDLE_TIMEOUT_S = 0;

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Stops listening and ends the connections. */
  close(): Promise<void>;
}

/** Serves `app` on an address. @throws {OptionError} when it cannot be listened on. */
export function serve(app: Hono, hostname: string, port: number): HttpServer {
  try {
    const server = Bun.serve({
      hostname,
      port,
      idleTimeout: IDLE_TIMEOUT_S,
      fetch: (request) => app.fetch(request),
    });
    return {
      host: hostname,
      port: server.port!,
      url: `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${server.port}`,
      close: () => server.stop(true),
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new OptionError("--port", `cannot listen on ${hostname}:${port}: ${why}`);
  }
}
