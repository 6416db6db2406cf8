import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { KVPoll } from "../../../../lib/index.ts";
import { buildStandIn, standInEnvironment } from "../../../cuda/stand-in/build.ts";
import type { Peer } from "../../process/peer.ts";
import {
  begin,
  beginMoving,
  type Choices,
  complete,
  completeMany,
  ended,
  LANDED,
  LARGE,
  released,
  SENT,
  SMALL,
  start as startOn,
} from "./rooms.ts";

// Processes are started, and the machine may be busy.
setDefaultTimeout(60_000);

const standIn = standInEnvironment(buildStandIn());
/** Makes copies last long enough to be interrupted. */
const SLOW = { KVWIRE_STAND_IN_DELAY_US: "2000" };

const start = (role: "prefill" | "decode", { environment, ...choices }: Choices = {}): Promise<Peer> =>
  startOn(role, { ...choices, environment: { ...standIn, ...environment } });

describe("cuda-ipc on the stand-in", () => {
  const noPeers = { environment: { KVWIRE_STAND_IN_PEERS: "0" } };
  const never = { transportOptions: { "cuda-ipc": { kernelBelowBytes: 0 } } };
  const cases: readonly (readonly [string, Choices, Choices])[] = [
    ["to another GPU, keys and values, by kernel", {}, {}],
    ["to another GPU, keys and values, by copies", never, {}],
    ["on one GPU", {}, { gpu: { ordinal: 0 } }],
    ["latents (MLA)", { gpu: { ordinal: 0, mla: true } }, { gpu: { ordinal: 1, mla: true } }],
    ["between GPUs that do not reach each other", noPeers, noPeers],
    ["between GPUs that do not reach each other, by copies", { ...noPeers, ...never }, noPeers],
    ["with the library of CUDA 12", { environment: { KVWIRE_STAND_IN_MAJOR: "12" }, ...never }, {}],
  ];
  test.each(cases)("fragmented pages land %s", async (_, ofPrefill, ofDecode) => {
    await using prefill = await start("prefill", ofPrefill);
    await using decode = await start("decode", ofDecode);
    for (const room of [1, 2]) await complete(prefill, decode, room);
  });

  test("a room of more bytes than all turns of the staging ring hold lands whole", async () => {
    const pool = { ...SMALL, pageBytes: 512 * 1024 };
    await using prefill = await start("prefill", { ...noPeers, pool });
    await using decode = await start("decode", { ...noPeers, pool });
    await complete(prefill, decode, 1);
  });

  test("cuda-ipc is not for pools in host memory", async () => {
    await using onHost = await start("decode", { gpu: undefined });
    expect(onHost.transports).not.toContain("cuda-ipc");
    expect(onHost.unusable.join("\n")).toContain("cuda-ipc: the pages are not on a GPU");
  });

  test("kill -9 of prefill in mid-transfer ends the room with the cause; the next prefill is served", async () => {
    await using decode = await start("decode", { pool: LARGE });
    await using victim = await start("prefill", { pool: LARGE, environment: SLOW });
    await beginMoving(victim, decode, 1);
    await victim.kill();
    expect(await ended(decode, 1)).toMatchObject({ state: KVPoll.Failed, error: { code: "PEER_LOST" } });
    await released(decode, 1);
    await using next = await start("prefill", { pool: LARGE });
    await complete(next, decode, 2);
  });

  test("kill -9 of decode in mid-transfer ends the room with the cause; the next decode is served", async () => {
    await using prefill = await start("prefill", { pool: LARGE, environment: SLOW });
    await using victim = await start("decode", { pool: LARGE });
    await beginMoving(prefill, victim, 1);
    await victim.kill();
    expect(await ended(prefill, 1)).toMatchObject({ state: KVPoll.Failed, error: { code: "PEER_LOST" } });
    await using next = await start("decode", { pool: LARGE });
    await complete(prefill, next, 2);
  });

  test("a kernel that fails ends the room on both sides with the status by name", async () => {
    await using prefill = await start("prefill", { environment: { KVWIRE_STAND_IN_FAIL: "kernel:1:719" } });
    await using decode = await start("decode");
    await begin(prefill, decode, 1);
    expect(await ended(prefill, 1)).toMatchObject({
      state: KVPoll.Failed,
      error: { code: "NATIVE", status: "cudaErrorLaunchFailure" },
    });
    expect((await ended(decode, 1)).state).toBe(KVPoll.Failed);
  });

  test("a pool freed under a live manager is an illegal address, not a write into what came after", async () => {
    await using prefill = await start("prefill");
    await using decode = await start("decode");
    await complete(prefill, decode, 1);
    await prefill.ask({ do: "open-sender", room: 2, pages: SENT, slot: 2 });
    await decode.ask({ do: "open-receiver", room: 2, addr: prefill.address, pages: LANDED, slot: 2 });
    await decode.ask({ do: "free" });
    await prefill.ask({ do: "send", room: 2, pages: SENT });
    expect(await ended(prefill, 2)).toMatchObject({
      state: KVPoll.Failed,
      error: { code: "NATIVE", status: "cudaErrorIllegalAddress" },
    });
    expect((await ended(decode, 2)).state).toBe(KVPoll.Failed);
  });

  test("1,000 rooms leave memory, mappings, streams and events as they were", async () => {
    await using prefill = await start("prefill", { environment: { KVWIRE_STAND_IN_DELAY_US: "0" } });
    await using decode = await start("decode");
    await complete(prefill, decode, 1, 1);
    const before = [await prefill.ask({ do: "alive" }), await decode.ask({ do: "alive" })];
    await completeMany(prefill, decode, 2, 1000);
    await complete(prefill, decode, 1001);
    expect([await prefill.ask({ do: "alive" }), await decode.ask({ do: "alive" })]).toEqual(before);
  });
});
