import { expect, test } from "bun:test";
import { type QueuePair, SendFlag, type SendList } from "../../../../ffi/verbs/index.ts";
import { SendQueue } from "../../../../lib/transports/verbs/send-queue.ts";
import { readRequests } from "./fabric/requests.ts";

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
