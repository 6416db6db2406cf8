import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { KVPoll } from "../../../../lib/index.ts";
import { buildStandIn, standInEnvironment } from "../../../cuda/stand-in/build.ts";
import type { Peer } from "../../process/peer.ts";
import {
  begin,
  beginMoving,
  type Choices,
  complete,
  ended,
  LARGE,
  released,
  start as startOn,
} from "../cuda-ipc/rooms.ts";

// Processes are started, and the machine may be busy.
setDefaultTimeout(60_000);

const standIn = standInEnvironment(buildStandIn());
const SLOW = { KVWIRE_STAND_IN_DELAY_US: "2000" };

const start = (role: "prefill" | "decode", { environment, ...choices }: Choices = {}): Promise<Peer> =>
  startOn(role, { ...choices, environment: { ...standIn, ...environment } });

describe("pools on the stand-in's GPUs over host transports", () => {
  const onHost: Choices = { gpu: undefined };
  test.each([
    ["tcp", "GPU to GPU", {}, {}],
    ["tcp", "GPU to host", {}, onHost],
    ["tcp", "host to GPU", onHost, {}],
    ["tcp", "GPU to GPU, latents", { gpu: { ordinal: 0, mla: true } }, { gpu: { ordinal: 1, mla: true } }],
    ["shm", "GPU to host", {}, onHost],
    ["cma", "GPU to host", {}, onHost],
  ] as const)(
    "%s, %s: fragmented pages land",
    async (transport, _, ofPrefill, ofDecode) => {
      await using prefill = await start("prefill", { ...ofPrefill, transport });
      await using decode = await start("decode", { ...ofDecode, transport });
      for (const room of [1, 2]) await complete(prefill, decode, room, undefined, transport);
    },
    30_000,
  );

  test("auto goes by tcp where one side's pages are on a GPU and the other's cannot be mapped", async () => {
    await using prefill = await start("prefill", onHost);
    await using decode = await start("decode");
    expect(decode.unusable.join("\n")).toContain("shm: the pages are on a GPU");
    await complete(prefill, decode, 1, undefined, "tcp");
  });

  test("kill -9 of either side in mid-transfer ends the room with the cause; the next peer is served", async () => {
    const tcp = { transport: "tcp", pool: LARGE };
    await using prefill = await start("prefill", { ...tcp, environment: SLOW });
    const decode = await start("decode", tcp);
    await beginMoving(prefill, decode, 1);
    await decode.kill();
    expect(await ended(prefill, 1)).toMatchObject({ state: KVPoll.Failed, error: { code: "PEER_LOST" } });
    await released(prefill, 1);

    await using next = await start("decode", tcp);
    await complete(prefill, next, 2, undefined, "tcp");
    await beginMoving(prefill, next, 3);
    await prefill.kill();
    expect(await ended(next, 3)).toMatchObject({ state: KVPoll.Failed, error: { code: "PEER_LOST" } });
  });

  test("a copy that fails ends the room with the status by name", async () => {
    const failing = { KVWIRE_STAND_IN_FAIL: "kernel:1:719" };
    await using prefill = await start("prefill", { transport: "tcp", environment: failing });
    await using decode = await start("decode", { transport: "tcp" });
    await begin(prefill, decode, 1);
    expect(await ended(prefill, 1)).toMatchObject({
      state: KVPoll.Failed,
      error: { code: "NATIVE", status: "cudaErrorLaunchFailure" },
    });
    expect((await ended(decode, 1)).state).toBe(KVPoll.Failed);
  });
});
