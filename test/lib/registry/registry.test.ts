import { describe, expect, test } from "bun:test";
import { latentLayout } from "../../../lib/planner/index.ts";
import {
  decodeHeard,
  encodeRelayed,
  encodeRequest,
  type Frame,
  type Frames,
  type Heard,
  type Member,
  PROTOCOL_VERSION,
} from "../../../lib/protocol/index.ts";
import { Registry } from "../../../lib/registry/registry.ts";

const utf8 = (text: string): Frame => new TextEncoder().encode(text);

function member(role: "prefill" | "decode", name: string, epoch = "1"): Member {
  return {
    id: name,
    epoch,
    role,
    dpRank: 0,
    dpSize: 1,
    transports: ["tcp"],
    layout: latentLayout({ address: 4_096, pages: 8, pageBytes: 8, auxSlots: 1, auxBytes: 8 }),
  };
}

/** A registry whose answers are kept by client. */
function open(options: { token?: string; maxMembers?: number } = {}) {
  const answers = new Map<string, Heard[]>();
  const registry = new Registry(
    { epoch: "r1", leaseMs: 1_000, maxMembers: options.maxMembers ?? 8, token: options.token },
    (identity, frames) => {
      const key = new TextDecoder().decode(identity);
      answers.set(key, [...(answers.get(key) ?? []), decodeHeard(frames)]);
    },
  );
  return {
    registry,
    say: (client: string, frames: Frames, now = 0): void => registry.receive(utf8(client), frames, now),
    heard: (client: string): Heard[] => answers.get(client)?.splice(0) ?? [],
    join: (client: string, who: Member, now = 0): void =>
      registry.receive(utf8(client), encodeRequest("register", { member: who }), now),
  };
}

describe("Registry", () => {
  test("each side learns of the other, whoever comes first", () => {
    const { join, heard } = open();
    join("d", member("decode", "D"));
    expect(heard("d")).toMatchObject([
      { type: "registered", header: { registryEpoch: "r1", leaseMs: 1_000, members: [] } },
    ]);
    join("p", member("prefill", "P"));
    expect(heard("p")).toMatchObject([{ type: "registered", header: { members: [{ id: "D" }] } }]);
    expect(heard("d")).toMatchObject([{ type: "joined", header: { member: { id: "P" } } }]);
  });

  test("registering again replaces and never counts twice; a new epoch tells the old one dead", () => {
    const { registry, join, heard } = open();
    join("d", member("decode", "D"));
    join("p", member("prefill", "P"));
    join("p", member("prefill", "P"));
    join("p-after-reconnect", member("prefill", "P"));
    expect(registry.memberCount).toBe(2);
    heard("d");
    join("p2", member("prefill", "P", "2"));
    expect(registry.memberCount).toBe(2);
    expect(heard("d")).toMatchObject([
      { type: "lost", header: { id: "P", epoch: "1", reason: "it was started anew" } },
      { type: "joined", header: { member: { id: "P", epoch: "2" } } },
    ]);
  });

  test("messages go on to the other side as they came, with the sender's name set by the registry", () => {
    const { join, say, heard } = open();
    join("d", member("decode", "D"));
    join("p", member("prefill", "P"));
    heard("p");
    const pages = Int32Array.of(5, 1, 9);
    const header = {
      pair: "x.1",
      room: 2 ** 53 - 1,
      tag: 70_000,
      auxIndex: 3,
      decodePrefixTokens: 0,
      dummy: false,
      infos: 1,
    };
    say("d", encodeRelayed("room", "P", header, pages));
    expect(heard("p")).toEqual([{ type: "room", from: "D", header, pages }]);
  });

  test("a message for nobody, or for one's own side, is refused by name", () => {
    const { join, say, heard } = open();
    join("d", member("decode", "D"));
    join("d2", member("decode", "D2"));
    heard("d");
    for (const to of ["P", "D2"]) {
      say("d", encodeRelayed("ready", to, { pair: "x.1" }));
      expect(heard("d")).toMatchObject([
        { type: "error", header: { code: "UNKNOWN_MEMBER", about: "ready", to, pair: "x.1" } },
      ]);
    }
    expect(heard("d2")).toMatchObject([{ type: "registered" }]);
  });

  test("whoever is silent for the lease is dead; heartbeats keep one alive; a stopped registry forgives", () => {
    const { registry, join, say, heard } = open();
    join("d", member("decode", "D"), 0);
    join("p", member("prefill", "P"), 0);
    heard("d");
    say("d", encodeRequest("heartbeat", {}), 900);
    expect(heard("d")).toMatchObject([{ type: "heartbeat", header: { registryEpoch: "r1" } }]);
    registry.tick(1_001);
    expect(heard("d")).toMatchObject([{ type: "lost", header: { id: "P", reason: "not heard of for 1001 ms" } }]);
    expect(registry.memberCount).toBe(1);
    registry.forgive(5_000);
    registry.tick(6_500);
    expect(registry.memberCount).toBe(1);
    registry.tick(7_000);
    expect(registry.memberCount).toBe(0);
  });

  test("who says goodbye, and who has not registered", () => {
    const { registry, join, say, heard } = open();
    say("x", encodeRequest("heartbeat", {}));
    expect(heard("x")).toMatchObject([{ type: "error", header: { code: "UNKNOWN_SENDER" } }]);
    join("p", member("prefill", "P"));
    say("p", encodeRequest("bye", {}));
    expect(registry.memberCount).toBe(0);
  });

  test("the token and the number of seats are held to", () => {
    const { registry, say, heard } = open({ token: "secret", maxMembers: 1 });
    say("a", encodeRequest("register", { member: member("decode", "A") }));
    expect(heard("a")).toMatchObject([{ type: "error", header: { code: "BAD_TOKEN" } }]);
    say("a", encodeRequest("register", { member: member("decode", "A"), token: "secret" }));
    say("b", encodeRequest("register", { member: member("decode", "B"), token: "secret" }));
    expect(heard("b")).toMatchObject([{ type: "error", header: { code: "TOO_MANY_MEMBERS" } }]);
    expect(registry.memberCount).toBe(1);
  });

  const head = (value: unknown): Frame => utf8(JSON.stringify(value));
  test.each([
    ["no frame", [], "BAD_FRAME"],
    ["one frame", [utf8("heartbeat")], "BAD_FRAME"],
    ["four frames", [utf8("room"), head({ v: PROTOCOL_VERSION }), utf8(""), utf8("")], "BAD_FRAME"],
    ["no JSON", [utf8("heartbeat"), utf8("{")], "BAD_FRAME"],
    ["no UTF-8", [Uint8Array.of(0xff), head({ v: PROTOCOL_VERSION })], "BAD_FRAME"],
    ["a list", [utf8("heartbeat"), head([1])], "BAD_FRAME"],
    ["another version", [utf8("heartbeat"), head({ v: PROTOCOL_VERSION + 1 })], "BAD_VERSION"],
    ["an unknown type", [utf8("query_room"), head({ v: PROTOCOL_VERSION })], "UNKNOWN_TYPE"],
    ["a name of Object's", [utf8("constructor"), head({ v: PROTOCOL_VERSION })], "UNKNOWN_TYPE"],
    ["a member without layout", [utf8("register"), head({ v: PROTOCOL_VERSION, member: { id: "x" } })], "BAD_FRAME"],
    ["a message to nobody", [utf8("ready"), head({ v: PROTOCOL_VERSION, pair: "x" })], "BAD_FRAME"],
    [
      "page indices of 3 bytes",
      [
        utf8("room"),
        head({
          v: PROTOCOL_VERSION,
          to: "P",
          pair: "x",
          room: 1,
          tag: 1,
          auxIndex: 0,
          decodePrefixTokens: 0,
          dummy: false,
          infos: 1,
        }),
        utf8("abc"),
      ],
      "BAD_FRAME",
    ],
    [
      "a room beyond 2^53",
      [
        utf8("abort"),
        head({ v: PROTOCOL_VERSION, to: "P", room: 2 ** 60, tag: 1, error: { code: "ABORTED", message: "" } }),
      ],
      "BAD_FRAME",
    ],
  ] as [string, Frames, string][])("%s is answered with an error and changes nothing", (_, frames, code) => {
    const { registry, join, say, heard } = open();
    join("d", member("decode", "D"));
    heard("d");
    say("d", frames);
    expect(heard("d")).toMatchObject([{ type: "error", header: { code } }]);
    expect(registry.memberCount).toBe(1);
  });
});
