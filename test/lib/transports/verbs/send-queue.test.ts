import { expect, test } from "bun:test";
import { type QueuePair, SendFlag, type SendList } from "../../../../ffi/verbs/index.ts";
import { SendQueue } from "../../../../lib/transports/verbs/send-queue.ts";
import { planOf, Random } from "../support/plans.ts";
import { readRequests } from "./fabric/requests.ts";
import { World } from "./fabric/world.ts";

const KiB = 1024;
const poster = { pending: 0, landed: () => undefined };

test("a full window is several lists, so that the device has others while one is reported and made anew", () => {
  const lists: number[][] = [];
  const queuePair = {
    capabilities: { inlineBytes: 0 },
    postSend: (list: SendList) => lists.push(readRequests(list).map(({ flags }) => flags)),
  } as unknown as QueuePair;
  const sends = new SendQueue(queuePair, { depth: 512, gather: 1, windowBytes: 64 * KiB, mayInline: false });
  while (sends.freeBytes > 0) {
    if (sends.isDue) sends.post();
    sends.entry(4 * KiB, KiB, 1);
    sends.write(poster, 4 * KiB, 2, KiB);
  }
  sends.post();
  expect(lists.map(({ length }) => length)).toEqual(Array(8).fill(8));
  for (const flags of lists) expect(flags.indexOf(SendFlag.SIGNALED)).toBe(flags.length - 1);
});

test("a step makes some turns even where the processor has no time left for any", () => {
  using world = new World(new Random(1), { rails: 1, queuePairs: 1 }).connect();
  const posted = (): number => [...world.fabric.queuePairs.values()].reduce((sum, { sent }) => sum + sent.length, 0);
  while (posted() > 0) world.fabric.step();
  const scattered = Array.from({ length: 24 }, (_, index) => world.piece(2 * index));
  world.outbound.write({ tag: 1, plan: planOf(scattered) });
  expect(world.outbound.step(world.now)).toBe(true);
  // A turn is four pages here.
  expect(posted()).toBe(16);
});
