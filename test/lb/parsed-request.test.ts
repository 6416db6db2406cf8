import { describe, expect, test } from "bun:test";
import {
  bootstrapMembers,
  ENDPOINTS,
  legBodies,
  parseRequest,
  RequestIds,
  RoomIds,
  sampleEdits,
} from "../../lb/request/index.ts";
import { Random } from "./support/random.ts";
import { randomBody } from "./support/random-json.ts";

const BODIES = Number(process.env["KVWIRE_LB_FUZZ"] ?? 5000);
const address = { hostJson: '"10.0.0.1"', port: 8998 };

function splice(
  path: string,
  text: string,
  sample = 0,
): { prefill: unknown; decode: Record<string, unknown>; text: string } {
  const request = parseRequest(ENDPOINTS.get(path)!, Buffer.from(text));
  const members = bootstrapMembers(request, address, new RoomIds(), new RequestIds().next());
  const bodies = legBodies(request, sampleEdits(request, sample), members);
  const sent = (body: typeof bodies.decode): string => {
    const whole = Buffer.concat(body.pieces());
    const copy = Buffer.alloc(body.length);
    expect(body.copyTo(copy, 0)).toBe(body.length);
    expect(copy.equals(whole)).toBe(true);
    return whole.toString();
  };
  return {
    prefill: JSON.parse(sent(bodies.prefill)),
    decode: JSON.parse(sent(bodies.decode)) as Record<string, unknown>,
    text: sent(bodies.decode),
  };
}

const OURS = [
  "bootstrap_host",
  "bootstrap_port",
  "bootstrap_room",
  "bootstrap_pair_key",
  "disagg_prefill_dp_rank",
  "rid",
];

test("a spliced body is the client's object without what is ours, plus ours", () => {
  const random = new Random(3);
  const endpoint = ENDPOINTS.get("/v1/chat/completions")!;
  let spliced = 0;
  for (let i = 0; i < BODIES; i++) {
    const text = randomBody(random);
    try {
      parseRequest(endpoint, Buffer.from(text));
    } catch (error) {
      // A random `n` that no engine could take.
      expect((error as { status?: number }).status).toBe(400);
      continue;
    }
    spliced++;
    const expected = JSON.parse(text) as Record<string, unknown>;
    for (const key of OURS) delete expected[key];
    const { decode } = splice("/v1/chat/completions", text);
    expect(decode).toMatchObject({ bootstrap_host: "10.0.0.1", bootstrap_port: 8998 });
    expect(decode["bootstrap_room"]).toBeGreaterThan(0);
    for (const key of OURS) delete decode[key];
    // `n` is 1 where it was more.
    if ("n" in expected) expected["n"] = decode["n"];
    expect(decode).toEqual(expected);
  }
  expect(spliced).toBeGreaterThan(BODIES / 2);
}, 600_000);

describe("rooms are a list exactly where the engine takes the request for a batch", () => {
  test.each([
    ["/generate", '{"text":"a"}', undefined],
    ["/generate", '{"text":["a"]}', 1],
    ["/generate", '{"text":["a","b","c"]}', 3],
    ["/generate", '{"input_ids":[1,2]}', undefined],
    ["/generate", '{"input_ids":[[1],[2]]}', 2],
    ["/generate", '{"text":null,"input_ids":[[1]]}', 1],
    ["/generate", '{"input_embeds":[[0.1,0.2]]}', undefined],
    ["/generate", '{"input_embeds":[[[0.1]],[[0.2]]]}', 2],
    ["/v1/completions", '{"prompt":"a"}', undefined],
    ["/v1/completions", '{"prompt":["a","b"]}', 2],
    ["/v1/completions", '{"prompt":[1,2,3]}', undefined],
    ["/v1/completions", '{"prompt":[[1],[2]]}', 2],
    ["/v1/chat/completions", '{"messages":[{"role":"user"},{"role":"user"}]}', undefined],
  ])("%s %s", (path, text, count) => {
    const { decode } = splice(path, text);
    const room = decode["bootstrap_room"];
    if (count === undefined) expect(typeof room).toBe("number");
    else {
      expect(room).toHaveLength(count);
      expect(new Set(room as number[]).size).toBe(count);
      expect(decode["rid"]).toHaveLength(count);
      expect(decode["bootstrap_host"]).toHaveLength(count);
    }
  });
});

test.each([
  ["/generate", '{"text":[]}', "empty list"],
  ["/generate", '{"input_ids":[]}', "empty list"],
  ["/generate", '{"text":"a","sampling_params":{"n":0}}', "n must be"],
  ["/generate", '{"text":"a","sampling_params":{"n":1.5}}', "n must be"],
  ["/generate", '{"text":"a","sampling_params":{"n":"many"}}', "n must be"],
  ["/generate", '{"text":["a","b"],"sampling_params":[{"n":1},{"n":2}]}', "the same"],
  ["/v1/chat/completions", '{"messages":[],"n":1000}', "n must be"],
  ["/v1/responses", '{"input":"a","n":2}', "one sample"],
  ["/generate", "[]", "not a JSON object"],
  ["/generate", '{"text":"a"', "not a JSON object"],
])("%s %s is a 400", (path, text, message) => {
  expect(() => parseRequest(ENDPOINTS.get(path)!, Buffer.from(text))).toThrow(message);
});

test.each([
  ['{"text":"a","sampling_params":{"n":3,"top_p":0.5}}', 3],
  ['{"text":"a","sampling_params":{"n":"2"}}', 2],
  ['{"text":"a","sampling_params":{"n":2.0}}', 2],
  ['{"text":"a","sampling_params":{"n":2,"n":1}}', 1],
  ['{"text":"a","sampling_params":{"n":null}}', 1],
  ['{"text":"a","n":5}', 1],
])("%s asks for %i samples, and no engine sees more than one", (text, samples) => {
  expect(parseRequest(ENDPOINTS.get("/generate")!, Buffer.from(text)).samples).toBe(samples);
  const params = splice("/generate", text).decode["sampling_params"] as { n?: unknown } | undefined;
  expect([undefined, null, 1]).toContain(params?.n as null);
});

test("each sample has a seed of its own, and big seeds keep their digits", () => {
  const text = '{"messages":[],"n":2,"seed":9007199254740993}';
  expect(splice("/v1/chat/completions", text, 1).text).toContain('"seed":9007199254740994');
});

test("prefill does not stream where its whole answer is wanted", () => {
  const { prefill, decode } = splice("/generate", '{"text":"a","stream":true,"return_logprob":true}');
  expect(prefill).toMatchObject({ stream: false });
  expect(decode).toMatchObject({ stream: true });
});

test("ten million rooms: none twice, none 0, all exact, flat over ranks", () => {
  const rooms = new RoomIds(() => 0.999_999_9);
  const ranks = new Int32Array(8);
  let before = rooms.next();
  for (let i = 0; i < 10_000_000; i++) {
    const room = rooms.next();
    // Strictly ascending, but for the one step where the counter wraps into another epoch: so none comes twice.
    if (room <= before && before - room < 2 ** 32) throw new Error(`${room} after ${before}`);
    if (room < 1 || room > Number.MAX_SAFE_INTEGER) throw new Error(`${room} is out of range`);
    ranks[room % 8]!++;
    before = room;
  }
  expect(Math.max(...ranks) - Math.min(...ranks)).toBeLessThan(4);
});

test("a room can be made to fall on a rank", () => {
  const rooms = new RoomIds();
  for (let rank = 0; rank < 5; rank++) expect(rooms.nextForRank(rank, 5) % 5).toBe(rank);
});
