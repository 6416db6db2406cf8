import { Hono } from "hono";
import { z } from "zod";
import type { Engine } from "../engine.ts";
import { RequestError } from "../errors.ts";
import { defaultSampling } from "../sampling/index.ts";
import { parseBody } from "./errors.ts";
import { finishAll } from "./generation.ts";

const abortSchema = z.looseObject({
  rid: z.string().nullish(),
  abort_all: z.boolean().nullish(),
});

/** Health, aborts and the other things that are done to a server rather than asked of its model. */
export function controlRoutes(engine: Engine): Hono {
  const app = new Hono();
  app.get("/health", (c) => c.body(null, engine.ready ? 200 : 503));
  app.on(["GET", "POST"], "/health_generate", async (c) => {
    if (!engine.ready) return c.body(null, 503);
    await generateOne(engine);
    return c.body(null, 200);
  });
  // Any method: as there, a probe may be a GET.
  app.all("/flush_cache", (c) => c.text("Cache flushed. No prefix is kept between requests.\n"));
  app.post("/abort_request", async (c) => {
    const { rid, abort_all: all } = await parseBody(c, abortSchema);
    // An empty rid is the prefix of every id: only abort_all may mean that.
    if (!all && !rid) throw RequestError.invalid("rid: an id or the beginning of one is needed, or abort_all");
    engine.abort(all ? "" : rid!, "Aborted by /abort_request");
    return c.body(null, 200);
  });
  return app;
}

async function generateOne(engine: Engine): Promise<void> {
  const sampling = { ...defaultSampling, temperature: 0, maxNewTokens: 1 };
  const id = `health-${crypto.randomUUID()}`;
  await finishAll(engine, [
    engine.submit(engine.prepare({ id, prompt: [0], sampling, bootstrap: engine.fakeBootstrap })),
  ]);
}
