import { describe, expect, test } from "bun:test";
import { CudaRuntime } from "../../../../cuda/index.ts";
import { KVPoll } from "../../../../lib/index.ts";
import { gpuCount } from "../../../cuda/gpus.ts";
import { beginHalf, type Choices, complete, completeMany, ended, LARGE, released, start } from "./rooms.ts";

const kernel: Choices = {};
const copies: Choices = { transportOptions: { "cuda-ipc": { kernelBelowBytes: 0 } } };
const staged: Choices = { transportOptions: { "cuda-ipc": { route: "staged" } } };

/** What the stand-in's tests hold cuda-ipc to, on real GPUs. */
for (const target of [0, 1]) {
  const reason = gpuCount > target ? "" : ` (skipped: there are ${gpuCount} GPUs)`;
  describe.skipIf(gpuCount <= target)(`cuda-ipc from GPU 0 to GPU ${target}${reason}`, () => {
    const decodeOn = (choices: Choices = {}): Choices => ({ ...choices, gpu: { ordinal: target } });

    test.each([
      ["by kernel", kernel],
      ["by copies", copies],
      ["staged through pinned memory", staged],
    ])(
      "fragmented pages land %s",
      async (_, ofPrefill) => {
        await using prefill = await start("prefill", ofPrefill);
        await using decode = await start("decode", decodeOn());
        for (const room of [1, 2, 3]) await complete(prefill, decode, room);
      },
      60_000,
    );

    test("latents (MLA) land", async () => {
      await using prefill = await start("prefill", { gpu: { ordinal: 0, mla: true } });
      await using decode = await start("decode", { gpu: { ordinal: target, mla: true } });
      await complete(prefill, decode, 1);
    }, 60_000);

    test("kill -9 of prefill ends the room with the cause; the next prefill is served", async () => {
      await using decode = await start("decode", decodeOn({ pool: LARGE }));
      const victim = await start("prefill", { pool: LARGE });
      await beginHalf(victim, decode);
      await victim.kill();
      expect(await ended(decode, 1)).toMatchObject({ state: KVPoll.Failed, error: { code: "PEER_LOST" } });
      await released(decode, 1);
      await using next = await start("prefill", { pool: LARGE });
      await complete(next, decode, 2);
    }, 60_000);

    test("kill -9 of decode ends the room with the cause; the next decode is served", async () => {
      await using prefill = await start("prefill", { pool: LARGE });
      const victim = await start("decode", decodeOn({ pool: LARGE }));
      await beginHalf(prefill, victim);
      await victim.kill();
      expect(await ended(prefill, 1)).toMatchObject({ state: KVPoll.Failed, error: { code: "PEER_LOST" } });
      await using next = await start("decode", decodeOn({ pool: LARGE }));
      await complete(prefill, next, 2);
    }, 60_000);

    test("1,000 rooms leave the device's memory as it was", async () => {
      const device = CudaRuntime.open().device(target);
      await using prefill = await start("prefill");
      await using decode = await start("decode", decodeOn());
      await completeMany(prefill, decode, 1, 10);
      const before = device.memory().free;
      await completeMany(prefill, decode, 11, 1010);
      // The driver takes memory in blocks of 2 MiB; a mapping or a stream a room would be hundreds of them.
      expect(before - device.memory().free).toBeLessThanOrEqual(4 << 20);
    }, 120_000);
  });
}
