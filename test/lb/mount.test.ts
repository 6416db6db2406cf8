import { expect, test } from "bun:test";
import { Hono } from "hono";
import { createLoadBalancer } from "../../lb/index.ts";
import { MockWorker } from "./support/mock-worker.ts";
import { RoomHub } from "./support/room-hub.ts";

test("the load balancer is a Hono app that another app can mount, with a policy of its own", async () => {
  const hub = new RoomHub();
  const prefill = new MockWorker("prefill", hub);
  const decode = new MockWorker("decode", hub);
  let chosen = 0;
  const policy = {
    name: "counting",
    choose: <W>(workers: readonly W[]): W => {
      chosen++;
      return workers[0]!;
    },
  };
  const options = {
    prefill: [{ url: prefill.url, bootstrapPort: 8998 }],
    decode: [{ url: decode.url }],
    logLevel: "silent" as const,
  };
  const balancer = createLoadBalancer(options, { policies: { prefill: policy, decode: policy } });
  const app = new Hono().get("/", (c) => c.text("mine")).route("/llm", balancer.app);
  const post = (path: string, body: object) => app.request(path, { method: "POST", body: JSON.stringify(body) });

  const whole = await post("/llm/generate", { text: "x" });
  expect(((await whole.json()) as { text: string }).text).toBe("Hello big world");
  const streamed = await post("/llm/v1/chat/completions", { messages: [], stream: true });
  expect(await streamed.text()).toEndWith("data: [DONE]\n\n");
  expect((await app.request("/llm/health")).status).toBe(200);
  expect(await (await app.request("/")).text()).toBe("mine");
  expect(chosen).toBe(4);
  balancer.close();
  prefill.stop();
  decode.stop();
});

test("options are checked as the command line's are", () => {
  expect(() => createLoadBalancer({ prefill: [{ url: "nonsense" }] })).toThrow("--prefill (0.url): expected an http");
});
