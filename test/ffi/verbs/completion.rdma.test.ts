import { expect, test } from "bun:test";
import { CompletionBatch, Device, SendFlag, SendList } from "../../../ffi/verbs/index.ts";
import { describeRdma } from "../../rxe/describe.ts";
import { connectedPair, DEADLINE_MS, QUEUE_KEY, thrownBy } from "./support/loopback.ts";

describeRdma("a completion queue", () => {
  test("has at least the room that was asked for, and can be resized", () => {
    using context = Device.find().open();
    const queue = context.createCompletionQueue({ entries: 100 });
    expect(queue.entries).toBeGreaterThanOrEqual(100);
    queue.resize(500);
    expect(queue.entries).toBeGreaterThanOrEqual(500);
    expect(queue.poll()).toBe(0);
    queue.close();
    expect(thrownBy(() => queue.poll()).code).toBe("CLOSED");
    expect(thrownBy(() => queue.resize(10)).code).toBe("CLOSED");
  });

  test("refuses more room than the device has, and other nonsense", () => {
    using context = Device.find().open();
    const { maxCompletionQueueEntries } = context.queryDevice();
    const tooMany = () => context.createCompletionQueue({ entries: maxCompletionQueueEntries + 1 });
    expect(thrownBy(tooMany)).toMatchObject({ name: "VerbsError", verb: "ibv_create_cq", code: "EINVAL" });
    expect(thrownBy(() => context.createCompletionQueue({ entries: 0 })).code).toBe("INVALID_ARGUMENT");
    const vector = () => context.createCompletionQueue({ entries: 8, vector: 10_000 });
    expect(thrownBy(vector)).toMatchObject({ name: "VerbsError", verb: "ibv_create_cq" });
    const channel = {} as never;
    expect(thrownBy(() => context.createCompletionQueue({ entries: 8, channel })).code).toBe("INVALID_ARGUMENT");
  });

  test("refuses another context's channel", () => {
    using context = Device.find().open();
    using other = Device.find().open();
    const channel = other.createCompletionChannel();
    expect(thrownBy(() => context.createCompletionQueue({ entries: 8, channel })).code).toBe("FOREIGN_OBJECT");
  });

  test("without a channel cannot be asked to notify", () => {
    using context = Device.find().open();
    const queue = context.createCompletionQueue({ entries: 8 });
    expect(thrownBy(() => queue.requestNotification()).code).toBe("INVALID_ARGUMENT");
  });

  test("gives a batch of completions in order, in a batch of the caller's", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    const list = left.sendList(8).write(100, right.memory.address, right.region.rkey);
    for (let id = 101; id < 110; id++) {
      list.entry(left.memory.address, 8, left.region.lkey).write(id, right.memory.address, right.region.rkey);
    }
    left.queuePair.postSend(list);
    const batch = new CompletionBatch(4);
    const ids: number[] = [];
    const deadline = performance.now() + DEADLINE_MS;
    while (ids.length < 10 && performance.now() < deadline) {
      const count = left.completions.poll(batch);
      expect(count).toBeLessThanOrEqual(4);
      for (let index = 0; index < count; index++) {
        batch.requireSuccess(index);
        ids.push(batch.workRequestId(index));
        expect(batch.queuePairNumber(index)).toBe(left.queuePair.number);
      }
    }
    expect(ids).toEqual([100, 101, 102, 103, 104, 105, 106, 107, 108, 109]);
  });

  test("that overruns is reported as an async event", () => {
    using pair = connectedPair({ entries: 1 });
    const { context, left, right } = pair;
    const list = new SendList({ requests: 8 });
    for (let id = 0; id < 8; id++) {
      list.entry(left.memory.address, 8, left.region.lkey).write(id, right.memory.address, right.region.rkey);
    }
    left.queuePair.postSend(list);
    expect(context.waitForAsyncEvent(DEADLINE_MS)).toBe(true);
    expect(context.takeAsyncEvent()).toEqual({ type: "CQ_ERR", source: left.completions });
  });

  test("closes the queue pairs that report to it first", () => {
    using pair = connectedPair();
    pair.left.completions.close();
    expect(pair.left.queuePair.closed).toBe(true);
    expect(pair.right.queuePair.closed).toBe(false);
  });

  test("that is foreign, closed or null makes no queue pair", () => {
    using context = Device.find().open();
    using other = Device.find().open();
    const domain = context.allocateProtectionDomain();
    const own = context.createCompletionQueue({ entries: 8 });
    const foreign = other.createCompletionQueue({ entries: 8 });
    const make = (queue: typeof own) =>
      thrownBy(() => domain.createQueuePair({ type: "RC", sendCompletionQueue: own, receiveCompletionQueue: queue }));
    expect(make(foreign).code).toBe("FOREIGN_OBJECT");
    expect(make(null as never).code).toBe("INVALID_ARGUMENT");
    expect(make(domain as never).code).toBe("INVALID_ARGUMENT");
    own.close();
    expect(make(own).code).toBe("CLOSED");
  });
});

describeRdma("a completion channel", () => {
  test("announces completions of RC queue pairs, acknowledged in bulk", () => {
    using pair = connectedPair({ events: true });
    const { left, right } = pair;
    for (let round = 0; round < 5; round++) {
      right.postReceive(round);
      right.completions.requestNotification();
      expect(right.channel!.takeEvent()).toBeUndefined();
      left.queuePair.postSend(left.sendList(64).send(round));
      expect(right.channel!.wait(DEADLINE_MS)).toBe(true);
      expect(right.channel!.takeEvent()).toBe(right.completions);
      expect(right.takeOne()).toMatchObject({ workRequestId: round, status: "SUCCESS", byteLength: 64 });
      left.takeOne();
    }
    expect(right.completions.unacknowledged).toBe(5);
    right.completions.acknowledge(3);
    expect(thrownBy(() => right.completions.acknowledge(3)).code).toBe("INVALID_ARGUMENT");
    // The other two are settled by close(), which would wait for them for ever.
  });

  test("announces completions of UD queue pairs", () => {
    using pair = connectedPair({ type: "UD", events: true });
    const { left, right } = pair;
    const address = left.domain.createAddressHandle({ port: 1, gid: right.gid.gid, sourceGidIndex: left.gid.index });
    right.postReceive(1);
    right.completions.requestNotification();
    const target = { address, queuePair: right.queuePair.number, queueKey: QUEUE_KEY };
    left.queuePair.postSend(left.sendList(100).sendTo(2, target));
    expect(right.channel!.wait(DEADLINE_MS)).toBe(true);
    expect(right.channel!.takeEvent()).toBe(right.completions);
    expect(right.takeOne()).toMatchObject({ status: "SUCCESS", byteLength: 140, hasRouteHeader: true });
  });

  test("can be limited to what the sender marks as solicited", () => {
    using pair = connectedPair({ events: true });
    const { left, right } = pair;
    right.postReceive(1, 64);
    right.postReceive(2, 64);
    right.completions.requestNotification(true);
    left.queuePair.postSend(left.sendList(64).send(1));
    expect(right.takeOne().workRequestId).toBe(1);
    expect(right.channel!.takeEvent()).toBeUndefined();
    left.queuePair.postSend(left.sendList(64).send(2, SendFlag.SIGNALED | SendFlag.SOLICITED));
    expect(right.channel!.wait(DEADLINE_MS)).toBe(true);
  });

  test("closes its completion queues first", () => {
    using context = Device.find().open();
    const channel = context.createCompletionChannel();
    const queue = context.createCompletionQueue({ entries: 8, channel });
    expect(channel.fd).toBeGreaterThan(2);
    channel.close();
    expect(queue.closed).toBe(true);
    expect(thrownBy(() => channel.takeEvent()).code).toBe("CLOSED");
    expect(thrownBy(() => channel.wait(0)).code).toBe("CLOSED");
  });
});
