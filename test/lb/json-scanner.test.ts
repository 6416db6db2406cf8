import { expect, test } from "bun:test";
import { scanBody, type JsonKind } from "../../lb/request/index.ts";
import { Random } from "./support/random.ts";
import { randomBody, mutate } from "./support/random-json.ts";

/** `KVWIRE_LB_FUZZ=1000000 bun test test/lb/json-scanner.test.ts` is the long run. */
const BODIES = Number(process.env["KVWIRE_LB_FUZZ"] ?? 20_000);

function kindOf(value: unknown): JsonKind {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "boolean") return value ? "true" : "false";
  return typeof value as "string" | "number" | "object";
}

/** What JSON.parse says of a body: the last of repeated keys counts, as for the scanner's reader. */
function oracle(body: Buffer): Map<string, [JsonKind, number]> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { ignoreBOM: true }).decode(body));
  } catch {
    return undefined;
  }
  if (kindOf(value) !== "object") return undefined;
  const keys = new Map<string, [JsonKind, number]>();
  for (const [key, member] of Object.entries(value as object)) {
    keys.set(key, [kindOf(member), Array.isArray(member) ? member.length : 0]);
  }
  return keys;
}

function scanned(body: Buffer): Map<string, [JsonKind, number]> | undefined {
  try {
    return new Map(scanBody(body).members.map((member) => [member.key, [member.kind, member.length]]));
  } catch (error) {
    expect((error as { code?: string }).code).toBe("BAD_JSON");
    return undefined;
  }
}

const sorted = <V>(map: Map<string, V> | undefined): [string, V][] | undefined =>
  map && [...map].sort(([a], [b]) => (a < b ? -1 : 1));

test(`agrees with JSON.parse on ${BODIES} bodies, half of them damaged`, () => {
  const random = new Random(Number(process.env["KVWIRE_LB_SEED"] ?? 7));
  let accepted = 0;
  for (let i = 0; i < BODIES; i++) {
    const text = randomBody(random);
    const body = Buffer.from(i % 2 === 0 ? text : mutate(random, text));
    const expected = oracle(body);
    const came = scanned(body);
    if (JSON.stringify(sorted(came)) !== JSON.stringify(sorted(expected))) {
      expect({ body: body.toString(), keys: sorted(came) }).toEqual({ body: body.toString(), keys: sorted(expected) });
    }
    if (expected !== undefined) accepted++;
  }
  expect(accepted).toBeGreaterThan(BODIES / 2);
}, 600_000);

test.each([
  '"x"',
  "[]",
  "1",
  "",
  "{",
  '{"a":1}}',
  '{"a":1} x',
  '{"a" 1}',
  "{'a':1}",
  '{"a":01}',
  '{"a":1.}',
  '{"a":"\\x"}',
  '{"a":tru}',
  '{"a":[1,]}',
  "\ufeff{}",
])("refuses %p", (text) => {
  expect(() => scanBody(Buffer.from(text))).toThrow("expected");
});

test("a key is what its escapes say", () => {
  expect(scanBody(Buffer.from('{"bootstrap_\\u0072oom":1}')).members[0]!.key).toBe("bootstrap_room");
});

test("long strings, with and without escapes, end where they end", () => {
  for (const filler of ["a".repeat(10_000), `${"a".repeat(5000)}\\"${"b".repeat(9000)}\\\\`, "\\n".repeat(6000)]) {
    const { members } = scanBody(Buffer.from(`{"text":"${filler}","n":2}`));
    expect(members.map((member) => member.key)).toEqual(["text", "n"]);
  }
});

test("a value nested deeper than engines take is refused, not a crash", () => {
  expect(() => scanBody(Buffer.from(`{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`))).toThrow("levels");
});
