import { expect, spyOn, test } from "bun:test";
import { Hono } from "hono";
import { serve } from "../../../engine/server/index.ts";

// Waits of five minutes are allowed for; one that long is too long for a test.
test("no connection is closed for being quiet", async () => {
  using listen = spyOn(Bun, "serve");
  const server = serve(new Hono(), "127.0.0.1", 0);
  expect(listen).toHaveBeenCalledWith(expect.objectContaining({ idleTimeout: 0 }));
  await server.close();
});
