import { expect, test } from "bun:test";
import {
  Access,
  type Context,
  Device,
  drain,
  Gid,
  openDatagrams,
  type QueuePairCapabilities,
  type QueuePairTypeName,
  ReceiveList,
} from "../../../ffi/verbs/index.ts";
import { describeRdma } from "../../rxe/describe.ts";
import { connectedPair, DEADLINE_MS, QUEUE_KEY, Side, thrownBy } from "./support/loopback.ts";

function makeQueuePair(context: Context, type: QueuePairTypeName, capabilities: Partial<QueuePairCapabilities> = {}) {
  const queue = context.createCompletionQueue({ entries: 16 });
  const domain = context.allocateProtectionDomain();
  return domain.createQueuePair({ type, sendCompletionQueue: queue, receiveCompletionQueue: queue, capabilities });
}

describeRdma("a queue pair", () => {
  for (const type of ["RC", "UC", "UD"] as const) {
    test(`of type ${type} is granted what was asked for, and goes from RESET to RTS and back`, () => {
      using context = Device.find().open();
      const asked = { sendRequests: 20, receiveRequests: 30, sendEntries: 2, receiveEntries: 3, inlineBytes: 16 };
      const queuePair = makeQueuePair(context, type, asked);
      for (const [name, count] of Object.entries(asked)) {
        expect(queuePair.capabilities[name as keyof QueuePairCapabilities]).toBeGreaterThanOrEqual(count);
      }
      expect(queuePair.state).toBe("RESET");
      expect(queuePair.query().state).toBe("RESET");
      if (type === "UD") openDatagrams(queuePair, { queueKey: QUEUE_KEY });
      else {
        const side = new Side(context, { type });
        queuePair.modify({ state: "INIT", partitionKeyIndex: 0, port: 1, access: Access.REMOTE_WRITE });
        expect(queuePair.query()).toMatchObject({ state: "INIT", port: 1, access: Access.REMOTE_WRITE });
        const address = { port: 1, gid: side.gid.gid, sourceGidIndex: side.gid.index };
        queuePair.modify({
          state: "RTR",
          address,
          pathMtu: 1024,
          remoteQueuePair: side.queuePair.number,
          receivePacketSequence: 7,
          ...(type === "RC" && { maxDestinationReadAtomic: 2, minReceiverNotReadyTimer: 12 }),
        });
        const queried = queuePair.query();
        expect(queried).toMatchObject({ pathMtu: 1024, remoteQueuePair: side.queuePair.number });
        expect(queried.address.gid!.equals(side.gid.gid)).toBe(true);
        queuePair.modify({
          state: "RTS",
          sendPacketSequence: 9,
          ...(type === "RC" && { timeout: 14, retryCount: 6, receiverNotReadyRetry: 5, maxReadAtomic: 4 }),
        });
        if (type === "RC") expect(queuePair.query()).toMatchObject({ retryCount: 6, maxReadAtomic: 4, timeout: 14 });
      }
      expect(queuePair.query().state).toBe("RTS");
      queuePair.modify({ state: "ERR" });
      expect(queuePair.query().state).toBe("ERR");
      queuePair.modify({ state: "RESET" });
      expect(queuePair.state).toBe("RESET");
      queuePair.close();
      expect(thrownBy(() => queuePair.query()).code).toBe("CLOSED");
      expect(thrownBy(() => queuePair.modify({ state: "ERR" })).code).toBe("CLOSED");
    });
  }

  test("that asks for more than the device has is refused", () => {
    using context = Device.find().open();
    const limits = context.queryDevice();
    const refused = (capabilities: Partial<QueuePairCapabilities>) =>
      thrownBy(() => makeQueuePair(context, "RC", capabilities));
    for (const capabilities of [
      { sendRequests: limits.maxQueuePairRequests + 1 },
      { receiveRequests: limits.maxQueuePairRequests + 1 },
      { sendEntries: limits.maxScatterGather + 1 },
      { receiveEntries: limits.maxScatterGather + 1 },
    ]) {
      expect(refused(capabilities)).toMatchObject({ name: "VerbsError", verb: "ibv_create_qp" });
    }
    expect(refused({ sendRequests: -1 }).code).toBe("INVALID_ARGUMENT");
    expect(refused({ sendEntries: 1.5 }).code).toBe("INVALID_ARGUMENT");
  });

  test.each(["XRC_SEND", "XRC_RECV", "RAW_PACKET", "DRIVER", ""])("of type %p is refused", (type) => {
    using context = Device.find().open();
    const error = thrownBy(() => makeQueuePair(context, type as never));
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", message: `type must be RC, UC or UD, not ${type}` });
  });

  test("names what is missing before the device says EINVAL, and nothing changes", () => {
    using context = Device.find().open();
    const queuePair = makeQueuePair(context, "RC");
    const error = thrownBy(() => queuePair.modify({ state: "INIT", port: 1, queueKey: 5 }));
    expect(error.code).toBe("ILLEGAL_TRANSITION");
    expect(error.message).toBe(
      "RC queue pair RESET → INIT: missing partitionKeyIndex, access; not allowed here queueKey",
    );
    expect(queuePair.query().state).toBe("RESET");
  });

  test("changes how many reads and atomics it answers, in RTS by way of SQD", () => {
    using pair = connectedPair();
    const { queuePair } = pair.left;
    expect(queuePair.query().maxDestinationReadAtomic).toBe(4);
    queuePair.modify({ state: "SQD" });
    queuePair.modify({ maxDestinationReadAtomic: 2, maxReadAtomic: 2 });
    expect(queuePair.query()).toMatchObject({ maxDestinationReadAtomic: 2, maxReadAtomic: 2 });
  });

  test("of type UD takes a privileged queue key from root", () => {
    using context = Device.find().open();
    const queuePair = makeQueuePair(context, "UD");
    queuePair.modify({ state: "INIT", partitionKeyIndex: 0, port: 1, queueKey: 0xffff_0001 });
    expect(queuePair.query().queueKey).toBe(0xffff_0001);
  });

  test("says whether data arrives in order", () => {
    using pair = connectedPair();
    expect([true, false]).toContain(pair.left.queuePair.deliversInOrder("RDMA_WRITE"));
    pair.left.queuePair.close();
    expect(thrownBy(() => pair.left.queuePair.deliversInOrder("RDMA_WRITE")).code).toBe("CLOSED");
  });

  test("joins and leaves a multicast group", () => {
    using pair = connectedPair({ type: "UD" });
    const { right } = pair;
    const group = Gid.parse("::ffff:239.1.2.3");
    right.queuePair.joinMulticast(group);
    right.queuePair.leaveMulticast(group);
    expect(thrownBy(() => right.queuePair.leaveMulticast(group))).toMatchObject({ verb: "ibv_detach_mcast" });
  });

  test("takes no sends before RTS and no receives in RESET", () => {
    using context = Device.find().open();
    const side = new Side(context);
    const list = side.sendList(8).send(1);
    expect(thrownBy(() => side.queuePair.postSend(list)).message).toContain("INIT takes no send requests");
    side.queuePair.modify({ state: "RESET" });
    expect(thrownBy(() => side.queuePair.postSend(list)).code).toBe("WRONG_STATE");
    expect(thrownBy(() => side.postReceive(1)).code).toBe("WRONG_STATE");
  });

  test("drains: all requests come back flushed, and nothing arrives afterwards", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    for (let id = 0; id < 16; id++) left.postReceive(id);
    const flushed: number[] = [];
    drain(left.queuePair, {
      timeoutMs: DEADLINE_MS,
      onCompletion: (batch, index) => {
        expect(batch.at(index).status).toBe("WR_FLUSH_ERR");
        flushed.push(batch.workRequestId(index));
      },
    });
    expect(flushed).toEqual(Array.from({ length: 16 }, (_, id) => id));
    expect(left.queuePair.state).toBe("ERR");
    left.fill(0);
    right.fill(1);
    right.queuePair.modify({ state: "ERR" });
    expect(left.memory.bytes.every((byte) => byte === 0)).toBe(true);
  });

  test("in ERR flushes what is posted", () => {
    using pair = connectedPair();
    const { left } = pair;
    left.queuePair.modify({ state: "ERR" });
    left.queuePair.postSend(left.sendList(8).send(77));
    expect(left.takeOne()).toMatchObject({ workRequestId: 77, status: "WR_FLUSH_ERR" });
  });

  test("whose peer is gone gives up after its retries, and is found in ERR", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    left.queuePair.modify({ state: "RESET" });
    left.queuePair.modify({ state: "INIT", partitionKeyIndex: 0, port: 1, access: 0 });
    left.connect(right, 1);
    right.queuePair.close();
    left.queuePair.postSend(left.sendList(8).send(1));
    expect(left.takeOne().status).toBe("RETRY_EXC_ERR");
    expect(left.queuePair.query().state).toBe("ERR");
  });
});

describeRdma("a shared receive queue", () => {
  test("feeds queue pairs, and reports when it runs low", () => {
    using pair = connectedPair({ sharedReceives: true });
    const { context, left, right } = pair;
    for (let id = 0; id < 4; id++) right.postReceive(id, 64);
    right.shared!.modify({ limit: 3 });
    expect(right.shared!.query()).toMatchObject({ limit: 3 });
    for (let id = 0; id < 3; id++) {
      left.queuePair.postSend(left.sendList(64).send(id));
      expect(right.takeOne()).toMatchObject({ workRequestId: id, status: "SUCCESS", byteLength: 64 });
      left.takeOne();
    }
    expect(context.waitForAsyncEvent(DEADLINE_MS)).toBe(true);
    expect(context.takeAsyncEvent()).toEqual({ type: "SRQ_LIMIT_REACHED", source: right.shared! });
  });

  test("can be resized where the device can", () => {
    using context = Device.find().open();
    const queue = context.allocateProtectionDomain().createSharedReceiveQueue({ requests: 10 });
    expect(queue.query().requests).toBeGreaterThanOrEqual(10);
    queue.modify({ requests: 100 });
    expect(queue.query().requests).toBeGreaterThanOrEqual(100);
  });

  test("refuses lists that are too long or too wide, other posts, and use after close", () => {
    using context = Device.find().open();
    const side = new Side(context, { sharedReceives: true });
    const { memory, region } = side;
    const queue = side.domain.createSharedReceiveQueue({ requests: 4, entries: 1 });
    const long = new ReceiveList({ requests: queue.requests + 1, entries: 0 });
    for (let id = 0; id <= queue.requests; id++) long.receive(id);
    expect(thrownBy(() => queue.post(long)).code).toBe("LIST_TOO_LONG");
    const wide = new ReceiveList({ requests: 1, entries: 64 });
    for (let entry = 0; entry <= queue.entries; entry++) wide.entry(memory.address, 8, region.lkey);
    expect(thrownBy(() => queue.post(wide.receive(1))).code).toBe("TOO_MANY_ENTRIES");
    const one = new ReceiveList({ requests: 1, entries: 0 }).receive(1);
    expect(thrownBy(() => side.queuePair.postReceive(one)).code).toBe("WRONG_STATE");
    queue.close();
    expect(thrownBy(() => queue.post(one)).code).toBe("CLOSED");
    side.shared!.close();
    expect(side.queuePair.closed).toBe(true);
  });
});

describeRdma("an address handle", () => {
  test("is made from a GID, as often as one likes, and closes once", () => {
    using context = Device.find().open();
    const side = new Side(context, { type: "UD" });
    const attributes = { port: 1, gid: side.gid.gid, sourceGidIndex: side.gid.index, hopLimit: 3 };
    const handles = Array.from({ length: 5 }, () => side.domain.createAddressHandle(attributes));
    for (const handle of handles) {
      handle.close();
      handle.close();
      expect(handle.closed).toBe(true);
    }
    side.domain.close();
    expect(thrownBy(() => side.domain.createAddressHandle(attributes)).code).toBe("CLOSED");
  });

  test("without a GID is refused on Ethernet", () => {
    using context = Device.find().open();
    if (context.port(1).query().linkLayer !== "ETHERNET") return;
    const domain = context.allocateProtectionDomain();
    expect(thrownBy(() => domain.createAddressHandle({ port: 1, lid: 1 }))).toMatchObject({ verb: "ibv_create_ah" });
    expect(thrownBy(() => domain.createAddressHandle({ port: 0 })).code).toBe("INVALID_ARGUMENT");
  });
});

describeRdma("10,000 cycles of creating and closing", () => {
  test("leave no memory, no objects and no descriptors behind", async () => {
    const child = Bun.spawn([process.execPath, `${import.meta.dir}/support/cycles.ts`, "11", "1000"]);
    const [output, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
    expect(code).toBe(0);
    const blocks = output.trimEnd().split("\n");
    expect(blocks).toHaveLength(11);
    const [first, last] = [JSON.parse(blocks[0]!), JSON.parse(blocks.at(-1)!)];
    expect(last.descriptors).toBe(first.descriptors);
    expect(last.objectCount).toBeLessThan(first.objectCount + 2_000);
    expect(last.heapOfC).toBeLessThan(first.heapOfC + 256);
    expect(last.resident).toBeLessThan(first.resident + 16 * 1024 * 1024);
  }, 120_000);
});
