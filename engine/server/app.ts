import { Hono } from "hono";
import type { Logger } from "pino";
import type { Engine } from "../engine.ts";
import { requireKey } from "./auth.ts";
import { chatCompletionRoutes } from "./chat-completions.ts";
import { completionRoutes } from "./completions.ts";
import { controlRoutes } from "./control.ts";
import { errorResponse, isOpenai, openaiErrorBody } from "./errors.ts";
import { generateRoutes } from "./generate.ts";
import { infoRoutes, type ServerIdentity } from "./info.ts";
import { metricsRoutes } from "./metrics.ts";

export interface AppOptions {
  readonly apiKey?: string;
  /** Asked at each request: the port is known only when the server listens. */
  readonly identity: () => ServerIdentity;
  readonly log: Logger;
}

/** The engine's HTTP interface. */
export function createApp(engine: Engine, { apiKey, identity, log }: AppOptions): Hono {
  const app = new Hono();
  if (apiKey !== undefined) app.use(requireKey(apiKey));
  app.route("/", generateRoutes(engine));
  app.route("/", completionRoutes(engine));
  app.route("/", chatCompletionRoutes(engine));
  app.route("/", infoRoutes(engine, identity));
  app.route("/", controlRoutes(engine));
  app.route("/", metricsRoutes(engine));
  app.notFound((c) => {
    const message = `no ${c.req.method} ${c.req.path} here`;
    return c.json(isOpenai(c) ? openaiErrorBody(404, message) : { error: { message } }, 404);
  });
  app.onError((cause, c) => {
    const response = errorResponse(c, cause);
    if (response.status >= 500) log.error({ err: cause, path: c.req.path }, "request failed");
    return response;
  });
  return app;
}
