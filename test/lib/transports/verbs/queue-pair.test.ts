import { describe, expect, test } from "bun:test";
import { type VerbsOptions, verbsOptionsSchema } from "../../../../lib/transports/verbs/options.ts";
import { connectQueuePair } from "../../../../lib/transports/verbs/queue-pair.ts";

const HEX = "00000000000000000000ffff0a000002";

/** What a queue pair between two RoCE ports, whose MTUs differ, is told on its way to RTS. */
function attributesWith(options: VerbsOptions): Record<string, unknown> {
  const told: Record<string, unknown>[] = [];
  const queuePair = { modify: (attributes: Record<string, unknown>) => told.push(attributes) };
  const rail = { choice: { candidate: { port: 2, mtu: 4096 }, gid: { index: 3 } } };
  const remote = {
    queuePair: 7,
    packetSequence: 8,
    address: { linkLayer: "ETHERNET", lid: 0, gid: HEX, mtu: 2048 },
  };
  connectQueuePair({ queuePair, rail, packetSequence: 9 } as never, remote, options);
  expect(told.map(({ state }) => state)).toEqual(["RTR", "RTS"]);
  return { ...told[0], ...told[1] };
}

describe("a queue pair", () => {
  test("crosses routers, retries for about half a second, and is never asked to wait for ever", () => {
    expect(attributesWith(verbsOptionsSchema.parse({}))).toMatchObject({
      address: { port: 2, sourceGidIndex: 3, hopLimit: 64, trafficClass: 0, serviceLevel: 0 },
      pathMtu: 2048,
      remoteQueuePair: 7,
      receivePacketSequence: 8,
      sendPacketSequence: 9,
      timeout: 14,
      retryCount: 7,
      receiverNotReadyRetry: 3,
    });
  });

  test("has the MTU, hop limit, traffic class, service level, timeout and retries that are asked for", () => {
    const address = { hopLimit: 1, trafficClass: 106, serviceLevel: 3 };
    const rest = { timeout: 18, retryCount: 2 };
    const found = attributesWith(verbsOptionsSchema.parse({ ...address, ...rest, mtu: 1024, rnrRetry: 1 }));
    expect(found).toMatchObject({ address, pathMtu: 1024, ...rest, receiverNotReadyRetry: 1 });
    // More than the ports can carry is not to be had.
    expect(attributesWith(verbsOptionsSchema.parse({ mtu: 4096 }))).toMatchObject({ pathMtu: 2048 });
  });
});
