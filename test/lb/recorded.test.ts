import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { CASES } from "./recordings/cases.ts";
import { recordedAnswer } from "./recordings/recordings.ts";
import type { RecordedAnswer } from "./recordings/recording.ts";
import { Cluster, until } from "./support/cluster.ts";
import { RealServers } from "./support/real-servers.ts";
import { refuses } from "./support/replay.ts";

type Json = Record<string, unknown>;

/** What differs from one time to the next. */
const VOLATILE = new Set([
  "id",
  "created",
  "created_at",
  "e2e_latency",
  "response_sent_to_client_ts",
  "cached_tokens",
  "cached_tokens_details",
]);
/** Sampled at a temperature of their own, so that the text differs too. */
const SAMPLED = new Set(["/v1/responses", "/v1/messages"]);

function steady(value: unknown): unknown {
  if (typeof value === "number") return Math.round(value * 1000) / 1000;
  if (Array.isArray(value)) return value.map(steady);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => !VOLATILE.has(name));
  return Object.fromEntries(entries.map(([name, member]) => [name, steady(member)]));
}

const eventsOf = (text: string): Json[] =>
  text
    .split("\n\n")
    .filter((event) => event.startsWith("data: {"))
    .map((event) => JSON.parse(event.slice(6)) as Json);

/** What a stream comes to: SGLang's last event of each prompt, OpenAI's pieces joined for each choice. */
function sumOf(path: string, text: string): unknown {
  expect(text).toEndWith("data: [DONE]\n\n");
  const sum: Record<number, unknown> = {};
  for (const event of eventsOf(text)) {
    if (path === "/generate") {
      sum[(event["index"] as number | undefined) ?? 0] = steady(event);
      continue;
    }
    for (const choice of event["choices"] as (Json & { index: number; delta?: { content?: string } })[]) {
      const before = (sum[choice.index] ?? { text: "" }) as { text: string; finish?: unknown };
      const piece = (choice["text"] as string | undefined) ?? choice.delta?.content ?? "";
      sum[choice.index] = { text: before.text + piece, finish: choice["finish_reason"] ?? before.finish };
    }
  }
  return sum;
}

/** Decode's answer with what prefill knows about the prompt. */
function merged(decode: unknown, prefill: unknown): unknown {
  if (Array.isArray(decode)) return decode.map((item, i) => merged(item, (prefill as unknown[])[i]));
  const [own, other] = [decode, prefill].map((answer) => (answer as { meta_info?: Json }).meta_info);
  if (own === undefined || own["input_token_logprobs"] === undefined) return decode;
  for (const name of ["input_token_logprobs", "input_top_logprobs", "input_token_ids_logprobs"]) {
    own[name] = [...(other![name] as unknown[]), ...(own[name] as unknown[])];
  }
  const [first] = other!["output_token_ids_logprobs"] as unknown[];
  (own["output_token_ids_logprobs"] as unknown[])[0] = first;
  return decode;
}

function wholeOf(name: string): unknown {
  const [decode, prefill] = (["decode", "prefill"] as const).map((role) => recordedAnswer(name, role).body as string);
  return steady(merged(JSON.parse(decode!), JSON.parse(prefill!)));
}

function statusOf({ status, body }: RecordedAnswer): number {
  return status >= 400 ? status : Number(/"(?:status_code|code)": ?(\d+)/.exec([body].flat().join(""))![1]);
}

const pairs = CASES.filter(({ how, body }) => how === "pair" && typeof body === "object");
const samples = pairs.filter(({ name }) => name.includes("one of two samples"));

describe.each([
  ["mock workers that answer from recordings", () => new Cluster()],
  ...(RealServers.available ? ([["real SGLang servers", () => new RealServers()]] as const) : []),
] as const)("in front of %s", (_, open) => {
  let cluster: Cluster | RealServers;
  beforeAll(() => {
    cluster = open();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  test.each(pairs.map((one) => [one.name, one] as const))(
    "%s",
    async (name, { path, body }) => {
      const response = await cluster.post(path, body);
      const answer = await response.text();
      const decode = recordedAnswer(name, "decode");
      if (refuses(decode)) {
        expect([response.status, answer]).toEqual([statusOf(decode), expect.stringContaining('"message"')]);
      } else if (SAMPLED.has(path)) {
        expect(Object.keys(JSON.parse(answer) as Json)).toEqual(Object.keys(JSON.parse(decode.body as string) as Json));
      } else if (Array.isArray(decode.body)) {
        expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
        const before = sumOf(path, answer);
        if (name.startsWith("prompt log-probabilities")) {
          const whole = [wholeOf(name.replace(", streamed", ""))].flat() as Json[];
          const lists = (item: Json) => (item["meta_info"] as Json)["input_top_logprobs"];
          expect(Object.values(before as Record<string, Json>).map(lists)).toEqual(whole.map(lists));
        } else expect(before).toEqual(sumOf(path, decode.body.join("")));
      } else {
        expect([response.status, steady(JSON.parse(answer))]).toEqual([200, wholeOf(name)]);
      }
    },
    30_000,
  );

  test.each(samples.map((one) => [one.name.replace("one of two", "two"), one] as const))(
    "%s",
    async (_name, { name, path, body }) => {
      const text = JSON.stringify(body).replace('"n":1', '"n":2');
      const response = await cluster.post(path, JSON.parse(text));
      const answer = await response.text();
      expect(response.status).toBe(200);
      const recorded = recordedAnswer(name, "decode");
      if (Array.isArray(recorded.body)) {
        const [one] = Object.values(sumOf(path, recorded.body.join("")) as object);
        const { index: _first, ...rest } = one as Json;
        expect(Object.values(sumOf(path, answer) as object)).toEqual([
          expect.objectContaining(rest),
          expect.objectContaining(rest),
        ]);
      } else if (path === "/generate") {
        expect(steady(JSON.parse(answer))).toEqual([wholeOf(name), wholeOf(name)]);
      } else {
        const { choices } = steady(JSON.parse(answer)) as { choices: unknown[] };
        const [choice] = (wholeOf(name) as { choices: [Json] }).choices;
        expect(choices).toEqual([choice, { ...choice, index: 1 }]);
      }
    },
    30_000,
  );

  test.each([
    ["room -1", { bootstrap_room: -1 }],
    ["room 0", { bootstrap_room: 0 }],
    ['room "12"', { bootstrap_room: "12" }],
    ["room 2^64", { bootstrap_room: 2 ** 64 }],
    ["a room without a host", { bootstrap_room: 5 }],
    ["someone else's room and host", { bootstrap_room: 77, bootstrap_host: "10.9.9.9", bootstrap_port: 1 }],
    ["a rank of its own choice", { disagg_prefill_dp_rank: 9 }],
    ["an empty request id", { rid: "" }],
    ["n = 2", { sampling_params: { n: 2, max_new_tokens: 3 } }],
    ["n as text", { sampling_params: { n: "2", max_new_tokens: 3 } }],
  ])(
    "%s cannot crash or hang an engine",
    async (_name, extra) => {
      const response = await cluster.post("/generate", { text: "x", sampling_params: { max_new_tokens: 3 }, ...extra });
      await response.text();
      expect(response.status).toBe(200);
    },
    30_000,
  );

  test("the same room is never on two live pairs", async () => {
    const room = {
      text: "x",
      bootstrap_room: 4711,
      bootstrap_host: "127.0.0.1",
      sampling_params: { max_new_tokens: 3 },
    };
    const responses = await Promise.all(Array.from({ length: 8 }, () => cluster.post("/generate", room)));
    expect(responses.map(({ status }) => status)).toEqual(Array(8).fill(200));
  }, 30_000);

  test.each([
    ["n = 0", { sampling_params: { n: 0 } }],
    ["no texts", { text: [] }],
    ["no token ids", { text: undefined, input_ids: [] }],
  ])("%s is refused before any engine sees it", async (_name, extra) => {
    const response = await cluster.post("/generate", { text: "x", ...extra });
    expect([response.status, response.headers.get("x-kvwire-error-code")]).toEqual([400, "invalid_request"]);
  });

  test("/v1/models, /get_model_info and /get_server_info say what the engines say", async () => {
    const ask = async (path: string) => (await (await fetch(cluster.url + path)).json()) as Json;
    expect(await ask("/v1/models")).toMatchObject({ object: "list", data: [{ id: "kjv" }] });
    expect(await ask("/get_model_info")).toMatchObject({ disaggregation_mode: "prefill" });
    expect(await ask("/get_server_info")).toMatchObject({
      prefill: [{ disaggregation_mode: "prefill" }],
      decode: [{ disaggregation_mode: "decode" }],
    });
  });
});

describe.skipIf(!RealServers.available)("real SGLang servers, given up", () => {
  const long = { text: "In the beginning", sampling_params: { max_new_tokens: 1500, ignore_eos: true } };
  const idle = async (servers: RealServers): Promise<void> => {
    let busy = -1;
    const deadline = performance.now() + 10_000;
    while (busy !== 0 && performance.now() < deadline) busy = await servers.busy();
    expect(busy).toBe(0);
  };

  test("by /abort_request with the client's own id: the error or the cut answer comes at once", async () => {
    await using servers = new RealServers();
    const waiting = servers.post("/generate", { ...long, rid: "mine" });
    await until(() => [...servers.balancer.live].some(({ prefillAt }) => prefillAt > 0), 10_000);
    const aborted = await servers.post("/abort_request", { rid: "mine" });
    expect(await aborted.json()).toEqual({ success: true, aborted: 1 });
    const answer = await (await waiting).text();
    expect(answer).toContain("abort");
    await idle(servers);
  }, 60_000);

  test("by a client that leaves in mid-stream", async () => {
    await using servers = new RealServers();
    const leave = new AbortController();
    const response = await servers.post("/generate", { ...long, stream: true }, { signal: leave.signal });
    await response.body!.getReader().read();
    leave.abort();
    await idle(servers);
    await until(() => servers.balancer.live.size === 0, 10_000);
  }, 60_000);

  test("health probes leave them in service", async () => {
    await using servers = new RealServers();
    await until(() => servers.balancer.fleet.all().every(({ health }) => health.checks > 1), 10_000);
    expect(servers.balancer.fleet.all().map(({ health }) => health.up)).toEqual([true, true]);
  }, 20_000);
});
