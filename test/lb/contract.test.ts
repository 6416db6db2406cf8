/** SGLang's wire contract row by row: shapes of requests, paths, statuses. @module */
import { describe, expect, test } from "bun:test";
import { Cluster, until } from "./support/cluster.ts";
import type { MockConnection } from "./support/mock-connection.ts";

type Json = Record<string, unknown>;

/** What a leg was sent of the members that make two engines meet. */
const meeting = ({ bootstrap_host, bootstrap_port, bootstrap_room, rid }: Json) => ({
  bootstrap_host,
  bootstrap_port,
  bootstrap_room,
  rid,
});

describe("shapes of requests", () => {
  const greedy = { temperature: 0 };
  test.each([
    ["/generate: a text", "/generate", { text: "a" }, 0, 1],
    ["/generate: flat token ids", "/generate", { input_ids: [1, 2] }, 0, 1],
    ["/generate: a list of texts", "/generate", { text: ["a", "b", "c"] }, 3, 1],
    ["/generate: lists of token ids", "/generate", { input_ids: [[1], [2, 3]] }, 2, 1],
    ["/generate: n = 4", "/generate", { text: "a", sampling_params: { ...greedy, n: 4 } }, 0, 4],
    ["/generate: n = 4 of a list", "/generate", { text: ["a", "b"], sampling_params: { n: 4 } }, 2, 4],
    ["/v1/completions: a prompt", "/v1/completions", { prompt: "a" }, 0, 1],
    ["/v1/completions: a list of prompts", "/v1/completions", { prompt: ["a", "b", "c"] }, 3, 1],
    ["/v1/completions: token ids", "/v1/completions", { prompt: [1, 2] }, 0, 1],
    ["/v1/completions: lists of token ids", "/v1/completions", { prompt: [[1], [2]] }, 2, 1],
    ["/v1/completions: n = 4", "/v1/completions", { prompt: "a", n: 4 }, 0, 4],
    ["/v1/completions: n = 4 of a list", "/v1/completions", { prompt: ["a", "b"], n: 4 }, 2, 4],
    ["/v1/chat/completions", "/v1/chat/completions", { messages: [] }, 0, 1],
    ["/v1/chat/completions: n = 4", "/v1/chat/completions", { messages: [], n: 4 }, 0, 4],
  ] as const)("%s", async (_name, path, body, batch, pairs) => {
    for (const stream of [false, true]) {
      await using cluster = new Cluster();
      const response = await cluster.post(path, { ...body, stream });
      const text = await response.text();
      expect(response.status).toBe(200);
      expect(cluster.decode.bodies).toHaveLength(pairs);
      const rooms = cluster.decode.bodies.flatMap(({ bootstrap_room: room }) => room as number | number[]);
      expect([rooms.length, new Set(rooms).size]).toEqual([pairs * Math.max(1, batch), rooms.length]);
      const sent = [cluster.prefill, cluster.decode].map(({ bodies }) => bodies.map(meeting));
      expect(sent[0]).toEqual(sent[1]!);
      for (const members of sent[1]!) {
        const each = (one: unknown) => (batch === 0 ? one : Array.from({ length: batch }, () => one));
        expect([members.bootstrap_host, members.bootstrap_port]).toEqual([each("127.0.0.1"), each(8998)]);
        expect([members.bootstrap_room].flat().length).toBe(Math.max(1, batch));
        expect(Array.isArray(members.bootstrap_room)).toBe(batch > 0);
      }
      const answers = pairs * Math.max(1, batch);
      if (stream) {
        const last = text.split("\n\n").filter((event) => /"finish_reason":("length"|\{)/.test(event));
        expect([last.length, text.match(/\[DONE\]/g)!.length]).toEqual([answers, 1]);
      } else {
        const whole = JSON.parse(text) as Json | Json[];
        const list = Array.isArray(whole) ? whole : ((whole["choices"] as Json[] | undefined) ?? [whole]);
        expect(list).toHaveLength(answers);
      }
    }
  });
});

describe("paths", () => {
  test.each([
    ["POST", "/generate", 200, "both"],
    ["POST", "/v1/chat/completions", 200, "both"],
    ["POST", "/v1/completions", 200, "both"],
    ["POST", "/v1/rerank", 200, "both"],
    ["POST", "/rerank", 200, "both"],
    ["POST", "/v1/responses", 200, "both"],
    ["POST", "/v1/messages", 200, "both"],
    ["POST", "/v1/embeddings", 501, "none"],
    ["POST", "/v1/classify", 501, "none"],
    ["GET", "/v1/models", 200, "both"],
    ["GET", "/get_server_info", 200, "both"],
    ["GET", "/server_info", 200, "both"],
    ["GET", "/get_model_info", 200, "prefill"],
    ["GET", "/model_info", 200, "prefill"],
    ["GET", "/health", 200, "none"],
    ["GET", "/liveness", 200, "none"],
    ["GET", "/readiness", 200, "none"],
    ["GET", "/health_generate", 200, "both"],
    ["POST", "/flush_cache", 200, "both"],
    ["POST", "/abort_request", 200, "none"],
    ["GET", "/get_loads", 200, "both"],
    ["GET", "/workers", 200, "none"],
    ["GET", "/metrics", 200, "none"],
    ["GET", "/openapi.json", 200, "none"],
    ["GET", "/dashboard", 200, "none"],
    ["GET", "/v1/nothing", 404, "none"],
    ["GET", "/generate", 404, "none"],
  ] as const)("%s %s", async (method, path, status, reaches) => {
    await using cluster = new Cluster();
    const body = method === "GET" ? {} : { body: '{"prompt":"x","messages":[],"input":"x","text":"x","rid":"r"}' };
    const response = await fetch(cluster.url + path, { method, ...body });
    await response.text();
    expect(response.status).toBe(status);
    const asked = [cluster.prefill, cluster.decode].map(({ requests }) => requests.length);
    expect(asked).toEqual(reaches === "both" ? [1, 1] : reaches === "prefill" ? [1, 0] : [0, 0]);
  });

  test.each(["/start_profile", "/stop_profile"])("POST %s goes to all", async (path) => {
    await using cluster = new Cluster();
    for (const worker of [cluster.prefill, cluster.decode])
      worker.script = ({ connection }) => (connection.reply(200, "ok"), true);
    expect((await cluster.post(path, "")).status).toBe(200);
  });
});

describe("statuses", () => {
  const error = '{"object":"error","message":"why","code":1}';
  const refusing =
    (status: number, body = error, fields: Record<string, string> = {}) =>
    ({ connection }: { connection: MockConnection }) => {
      connection.reply(status, body, fields);
      return true;
    };

  test.each(["prefill", "decode"] as const)("no %s worker: 503 that names the role", async (role) => {
    await using cluster = new Cluster({ [role]: [] });
    const response = await cluster.post("/generate", { text: "x" });
    expect(response.status).toBe(503);
    expect(response.headers.get("x-kvwire-error-code")).toBe(`no_${role}_workers_available`);
  });

  const statuses = [400, 401, 403, 404, 408, 413, 422, 429, 500, 501, 502, 503, 504];
  describe.each([false, true])("streamed %p", (stream) => {
    test.each(statuses)("decode's %d comes as it is", async (status) => {
      await using cluster = new Cluster({ disableRetries: true });
      cluster.decode.script = refusing(status, error, { "retry-after": "9" });
      const response = await cluster.post("/generate", { text: "x", stream });
      expect([response.status, await response.text()]).toEqual([status, error]);
      expect([response.headers.get("retry-after"), response.headers.get("content-type")]).toEqual([
        "9",
        "application/json",
      ]);
      await until(() => cluster.hub.orphans === 0, 1000);
    });

    test.each(statuses)(
      "prefill's %d, while decode waits: its own below 500, else 502; decode is let go",
      async (status) => {
        await using cluster = new Cluster({ disableRetries: true });
        cluster.prefill.script = refusing(status);
        const response = await cluster.post("/generate", { text: "x", stream });
        expect(response.status).toBe(status < 500 ? status : 502);
        expect(await response.text()).toContain(status < 500 ? error : "prefill_failed");
        await until(() => cluster.hub.orphans === 0, 1000);
      },
    );

    test("an error that is no JSON comes as it is", async () => {
      await using cluster = new Cluster({ disableRetries: true });
      cluster.decode.script = refusing(500, "Internal Server Error", { "content-type": "text/plain" });
      const response = await cluster.post("/generate", { text: "x", stream });
      expect([response.status, response.headers.get("content-type"), await response.text()]).toEqual([
        500,
        "text/plain",
        "Internal Server Error",
      ]);
    });
  });

  const abort = (status: number) =>
    `data: {"text":"","meta_info":{"finish_reason":{"type":"abort","message":"no","status_code":${status}}}}\n\n`;
  test.each([
    ["decode", 400, 400],
    ["decode", 500, 500],
    ["decode", 503, 503],
    ["prefill", 400, 400],
    ["prefill", 500, 502],
  ] as const)("%s's stream begins with an abort of %d: the client gets %d, not 200", async (leg, status, expected) => {
    await using cluster = new Cluster({ disableRetries: true });
    cluster[leg].script = ({ path, connection }) => {
      if (path !== "/generate") return false;
      connection.streamHead();
      connection.chunk(abort(status));
      connection.chunk("data: [DONE]\n\n");
      connection.streamEnd();
      return true;
    };
    const response = await cluster.post("/generate", { text: "x", stream: true });
    expect([response.status, response.headers.get("content-type")]).toEqual([expected, "application/json"]);
    expect(await response.text()).toContain('"message":"no"');
    await until(() => cluster.hub.orphans === 0, 1000);
  });

  test.each([
    ["prefill_timeout", { prefillTimeoutSecs: 0.1, prefillTimeoutPerTokenMs: 0 }],
    ["request_timeout", { requestTimeoutSecs: 0.1 }],
  ])("%s is a 504 with its code", async (code, options) => {
    await using cluster = new Cluster({ disableRetries: true, ...options });
    cluster.prefill.script = ({ path }) => path === "/generate";
    const response = await cluster.post("/generate", { text: "x" });
    expect([response.status, response.headers.get("x-kvwire-error-code")]).toEqual([504, code]);
    await until(() => cluster.hub.orphans === 0, 1000);
  });
});
