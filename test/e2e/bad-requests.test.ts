import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../lib/process/peer.ts";
import { BalancerProcess } from "./support/balancer-process.ts";
import { EngineProcess } from "./support/engine-process.ts";
import { type Body, lastAnswer, meeting, newRoom, post } from "./support/requests.ts";

const ANSWER_MS = 2_000;
const prompt = { text: "In the beginning", sampling_params: { temperature: 0, max_new_tokens: 3 } };

let prefill: EngineProcess;
let decode: EngineProcess;
let balancer: BalancerProcess;

beforeAll(async () => {
  const options = ["--max-total-tokens", "4096"];
  [prefill, decode] = await Promise.all([
    EngineProcess.start({ mode: "prefill", options }),
    EngineProcess.start({ mode: "decode", options }),
  ]);
  balancer = await BalancerProcess.start([prefill], [decode]);
}, 60_000);

afterAll(async () => {
  await Promise.all([balancer, prefill, decode].map((server) => server?.[Symbol.asyncDispose]()));
});

/** Body by body: what is wrong with it, and what the refusal must say. */
const bad: readonly (readonly [string, () => Body, RegExp])[] = [
  ["no bootstrap fields", () => prompt, /without bootstrap room id/],
  ["no room", () => ({ ...prompt, bootstrap_host: "127.0.0.1", bootstrap_port: 1 }), /without bootstrap room id/],
  ["room null", () => ({ ...prompt, ...meeting(prefill), bootstrap_room: null }), /without bootstrap room id/],
  ["room 0", () => ({ ...prompt, ...meeting(prefill, 0) }), /bootstrap_room .* not 0/],
  ["a negative room", () => ({ ...prompt, ...meeting(prefill, -7) }), /bootstrap_room .* not -7/],
  ["room 2^53", () => ({ ...prompt, ...meeting(prefill, 2 ** 53) }), /bootstrap_room .* not 9007199254740992/],
  ["a room with a fraction", () => ({ ...prompt, ...meeting(prefill, 1.5) }), /bootstrap_room/],
  ["a room of letters", () => ({ ...prompt, ...meeting(prefill), bootstrap_room: "seven" }), /bootstrap_room/],
  ["no host", () => ({ ...prompt, ...meeting(prefill), bootstrap_host: null }), /bootstrap_host is missing/],
  ["an empty host", () => ({ ...prompt, ...meeting(prefill), bootstrap_host: "" }), /bootstrap_host is missing/],
  ["port 0", () => ({ ...prompt, ...meeting(prefill), bootstrap_port: 0 }), /bootstrap_port/],
  ["port 70000", () => ({ ...prompt, ...meeting(prefill), bootstrap_port: 70_000 }), /bootstrap_port/],
  [
    "two rooms for one prompt",
    () => ({ ...prompt, ...meeting(prefill), bootstrap_room: [newRoom(), newRoom()] }),
    /bootstrap_room: 2 entries for 1 prompts/,
  ],
  [
    "one room in a list for two prompts",
    () => ({ ...prompt, ...meeting(prefill), text: ["a", "b"], bootstrap_room: [newRoom()] }),
    /bootstrap_room: 1 entries for 2 prompts/,
  ],
  [
    "three hosts for two prompts",
    () => ({ ...prompt, ...meeting(prefill), text: ["a", "b"], bootstrap_host: ["::1", "::1", "::1"] }),
    /bootstrap_host: 3 entries for 2 prompts/,
  ],
  [
    "one room twice in a list",
    () => ({ ...prompt, ...meeting(prefill), text: ["a", "b"], bootstrap_room: Array(2).fill(newRoom()) }),
    /live already/,
  ],
  ["no prompt", () => ({ ...meeting(prefill) }), /text or input_ids/],
  ["a token that is not there", () => ({ ...meeting(prefill), input_ids: [1, 1e9] }), /vocabulary/],
];

describe.each(["prefill", "decode"] as const)("%s", (mode) => {
  const engine = (): EngineProcess => ({ prefill, decode })[mode];

  test.each(bad)("refuses a request with %s, and holds nothing", async (_, body, reason) => {
    const response = await post(engine().url, body(), { signal: AbortSignal.timeout(ANSWER_MS) });
    const { error } = (await response.json()) as { error: { message: string } };
    expect(error.message).toMatch(reason);
    expect(response.status).toBe(400);
    await engine().atRest();
  });

  test("refuses a room that is live, which goes on", async () => {
    const body = { ...prompt, ...meeting(prefill) };
    const first = post(engine().url, body);
    await until(
      "the first to be taken",
      () => engine().gauge("live_requests"),
      (live) => live === 1,
    );
    const second = await post(engine().url, body, { signal: AbortSignal.timeout(ANSWER_MS) });
    expect(second.status).toBe(400);
    expect(await second.text()).toMatch(/bootstrap_room \d+ is live already/);
    const other = mode === "prefill" ? decode : prefill;
    const [answer, otherAnswer] = await Promise.all([first, post(other.url, body)]);
    expect([answer.status, otherAnswer.status]).toEqual([200, 200]);
    await Promise.all([prefill.atRest(), decode.atRest()]);
  });
});

test("the servers live on", async () => {
  const answer = await lastAnswer(await post(balancer.url, prompt), false);
  expect(answer.output_ids).toHaveLength(3);
});
