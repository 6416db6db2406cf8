import { expect, test } from "bun:test";
import { Access, CompletionBatch, CompletionError, ReceiveList, SendFlag, SendList } from "../../../ffi/verbs/index.ts";
import { describeRdma } from "../../rxe/describe.ts";
import { connectedPair, DEADLINE_MS, type Pair, thrownBy } from "./support/loopback.ts";

const local = Access.LOCAL_WRITE;

function refusedWrite(pair: Pair, remote: number, rkey: number): void {
  const { left } = pair;
  left.queuePair.postSend(left.sendList(64).write(1, remote, rkey));
  expect(left.takeOne()).toMatchObject({ workRequestId: 1, status: "REM_ACCESS_ERR" });
  expect(left.queuePair.query().state).toBe("ERR");
}

describeRdma("the device refuses, as a completion,", () => {
  test("a key that stands for nothing", () => {
    using pair = connectedPair();
    refusedWrite(pair, pair.right.memory.address, 0x7fff_ff00);
  });

  test("an address outside of the region", () => {
    using pair = connectedPair();
    refusedWrite(pair, pair.right.memory.address + pair.right.memory.byteLength - 32, pair.right.region.rkey);
  });

  test("a region without the right access", () => {
    using pair = connectedPair({}, { access: local });
    refusedWrite(pair, pair.right.memory.address, pair.right.region.rkey);
  });

  test("a region that was closed", () => {
    using pair = connectedPair();
    const { rkey } = pair.right.region;
    pair.right.region.close();
    refusedWrite(pair, pair.right.memory.address, rkey);
  });

  test("a local key that stands for nothing", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    const list = new SendList({ requests: 1 }).entry(left.memory.address, 64, 0x7fff_ff00);
    left.queuePair.postSend(list.write(1, right.memory.address, right.region.rkey));
    // soft-RoCE says LOC_QP_OP_ERR, network cards say LOC_PROT_ERR.
    expect(["LOC_PROT_ERR", "LOC_QP_OP_ERR"]).toContain(left.takeOne().status);
  });

  test("a message larger than the receive", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    right.postReceive(1, 16);
    left.queuePair.postSend(left.sendList(64).send(2));
    expect(["REM_INV_REQ_ERR", "REM_OP_ERR"]).toContain(left.takeOne().status);
    expect(["LOC_LEN_ERR", "LOC_QP_OP_ERR"]).toContain(right.takeOne().status);
  });

  test("an atomic on a queue pair or a region without the right", () => {
    const without = Access.LOCAL_WRITE | Access.REMOTE_WRITE | Access.REMOTE_READ;
    for (const right of [{ queuePairAccess: without }, { access: without }]) {
      using pair = connectedPair({}, right);
      const { left } = pair;
      left.queuePair.postSend(left.sendList(8).fetchAdd(1, pair.right.memory.address, pair.right.region.rkey, 1n));
      expect(["REM_ACCESS_ERR", "REM_INV_REQ_ERR"]).toContain(left.takeOne().status);
    }
  });

  test("an atomic with a key that stands for nothing, on either side", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    left.queuePair.postSend(left.sendList(8).fetchAdd(1, right.memory.address, 0x7fff_ff00, 1n));
    expect(left.takeOne().status).toBe("REM_ACCESS_ERR");
    using again = connectedPair();
    const list = new SendList({ requests: 1 }).entry(again.left.memory.address, 8, 0x7fff_ff00);
    again.left.queuePair.postSend(list.fetchAdd(1, again.right.memory.address, again.right.region.rkey, 1n));
    expect(again.left.takeOne().status).toBe("LOC_PROT_ERR");
  });

  test("and requireSuccess makes it an error that names the status and the request", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    left.queuePair.postSend(left.sendList(64).write(123, right.memory.address, 0x7fff_ff00));
    const batch = new CompletionBatch();
    const deadline = performance.now() + DEADLINE_MS;
    while (left.completions.poll(batch) === 0) expect(performance.now()).toBeLessThan(deadline);
    const error = thrownBy(() => batch.requireSuccess(0));
    expect(error).toBeInstanceOf(CompletionError);
    expect(error).toMatchObject({ code: "REM_ACCESS_ERR", workRequestId: 123, queuePairNumber: left.queuePair.number });
  });
});

describeRdma("a post is refused, before the device sees it,", () => {
  test("with more scatter/gather entries than the queue pair takes", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    const most = left.queuePair.capabilities.sendEntries;
    const list = new SendList({ requests: 1, entries: most + 1 });
    for (let entry = 0; entry <= most; entry++) list.entry(left.memory.address, 8, left.region.lkey);
    list.write(1, right.memory.address, right.region.rkey);
    expect(thrownBy(() => left.queuePair.postSend(list)).code).toBe("TOO_MANY_ENTRIES");
    const receives = new ReceiveList({ requests: 1, entries: 64 });
    for (let entry = 0; entry <= left.queuePair.capabilities.receiveEntries; entry++) {
      receives.entry(left.memory.address, 8, left.region.lkey);
    }
    expect(thrownBy(() => left.queuePair.postReceive(receives.receive(1))).code).toBe("TOO_MANY_ENTRIES");
  });

  test("with more requests than the queue holds", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    const { sendRequests, receiveRequests } = left.queuePair.capabilities;
    const list = new SendList({ requests: sendRequests + 1, entries: 0 });
    for (let id = 0; id <= sendRequests; id++) list.write(id, right.memory.address, right.region.rkey);
    expect(thrownBy(() => left.queuePair.postSend(list)).code).toBe("LIST_TOO_LONG");
    const receives = new ReceiveList({ requests: receiveRequests + 1, entries: 0 });
    for (let id = 0; id <= receiveRequests; id++) receives.receive(id);
    expect(thrownBy(() => left.queuePair.postReceive(receives)).code).toBe("LIST_TOO_LONG");
  });

  test("with more inline data than the queue pair takes", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    const most = left.queuePair.capabilities.inlineBytes;
    const list = left.sendList(most + 1).write(1, right.memory.address, right.region.rkey, SendFlag.INLINE);
    expect(thrownBy(() => left.queuePair.postSend(list)).code).toBe("TOO_MUCH_INLINE_DATA");
  });

  test("on a closed queue pair", () => {
    using pair = connectedPair();
    const list = pair.left.sendList(8).send(1);
    pair.left.queuePair.close();
    pair.left.queuePair.close();
    expect(thrownBy(() => pair.left.queuePair.postSend(list)).code).toBe("CLOSED");
    expect(thrownBy(() => pair.left.postReceive(1)).code).toBe("CLOSED");
  });

  test("and a queue that is full says how many requests it took", () => {
    using pair = connectedPair({ capabilities: { receiveRequests: 16 } });
    const { queuePair, memory, region } = pair.left;
    const room = queuePair.capabilities.receiveRequests;
    const list = new ReceiveList({ requests: room });
    for (let id = 0; id < room; id++) list.entry(memory.address, 64, region.lkey).receive(id);
    queuePair.postReceive(list);
    list.clear();
    for (let id = 0; id < 3; id++) list.entry(memory.address, 64, region.lkey).receive(id);
    const error = thrownBy(() => {
      // A provider may round its ring up beyond what it granted.
      for (let round = 0; round <= room; round++) queuePair.postReceive(list);
    });
    expect(error).toMatchObject({ name: "PostError", code: "ENOMEM", verb: "ibv_post_recv" });
    expect(error.posted).toBeLessThan(3);
    expect(error.message).toContain("the queue is full");
  });
});
