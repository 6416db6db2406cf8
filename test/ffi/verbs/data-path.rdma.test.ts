import { expect, test } from "bun:test";
import { Access, senderAddress, SendFlag, SendList } from "../../../ffi/verbs/index.ts";
import { describeRdma } from "../../rxe/describe.ts";
import { connectedPair, type Pair, QUEUE_KEY, thrownBy } from "./support/loopback.ts";

/** Bytes whose value says where they are. */
function pattern(bytes: Uint8Array): void {
  for (let index = 0; index < bytes.length; index++) bytes[index] = (index * 7 + (index >>> 8)) & 0xff;
}

function expectSuccess(pair: Pair, opcode: string): void {
  expect(pair.left.takeOne()).toMatchObject({ status: "SUCCESS", opcode });
}

const large = 40_000;

describeRdma("a reliable connection carries", () => {
  test("messages, with the peer's completion telling their length", () => {
    using pair = connectedPair({ byteLength: large });
    const { left, right } = pair;
    pattern(left.memory.bytes);
    right.postReceive(5);
    left.queuePair.postSend(left.sendList().send(6));
    expectSuccess(pair, "SEND");
    const received = right.takeOne();
    expect(received).toMatchObject({ workRequestId: 5, opcode: "RECV", byteLength: large, status: "SUCCESS" });
    expect(received.immediate).toBeUndefined();
    expect(right.memory.bytes).toEqual(left.memory.bytes);
  });

  test("an immediate value in host order", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    right.postReceive(1);
    left.queuePair.postSend(left.sendList(10).sendWithImmediate(2, 0xdead_beef));
    expectSuccess(pair, "SEND");
    expect(right.takeOne()).toMatchObject({ immediate: 0xdead_beef, byteLength: 10 });
  });

  test("writes, of which the peer sees nothing but the bytes", () => {
    using pair = connectedPair({ byteLength: large });
    const { left, right } = pair;
    pattern(left.memory.bytes);
    left.queuePair.postSend(left.sendList(large - 8).write(1, right.memory.address + 8, right.region.rkey));
    expectSuccess(pair, "RDMA_WRITE");
    expect(right.memory.bytes.subarray(8)).toEqual(left.memory.bytes.subarray(0, large - 8));
    expect(right.completions.poll()).toBe(0);
  });

  test("writes with an immediate, which take a receive", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    left.fill(9);
    right.postReceive(4);
    const { address } = right.memory;
    left.queuePair.postSend(left.sendList(100).writeWithImmediate(1, address, right.region.rkey, 0x0102_0304));
    expectSuccess(pair, "RDMA_WRITE");
    const received = right.takeOne();
    expect(received).toMatchObject({ workRequestId: 4, opcode: "RECV_RDMA_WITH_IMM", immediate: 0x0102_0304 });
    expect(right.memory.bytes[99]).toBe(9);
  });

  test("reads", () => {
    using pair = connectedPair({ byteLength: large });
    const { left, right } = pair;
    pattern(right.memory.bytes);
    left.queuePair.postSend(left.sendList().read(1, right.memory.address, right.region.rkey));
    expectSuccess(pair, "RDMA_READ");
    expect(left.memory.bytes).toEqual(right.memory.bytes);
  });

  test("compare-and-swap, which answers the old value and swaps only on a match", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    const [old, target] = [left, right].map((side) => new DataView(side.memory.buffer));
    target!.setBigUint64(8, 0xffff_ffff_0000_0001n, true);
    const swap = (compare: bigint, value: bigint) => {
      const list = left.sendList(8).compareSwap(1, right.memory.address + 8, right.region.rkey, compare, value);
      left.queuePair.postSend(list);
      expectSuccess(pair, "COMP_SWAP");
      return old!.getBigUint64(0, true);
    };
    expect(swap(0xffff_ffff_0000_0001n, 0x1234_5678_9abc_def0n)).toBe(0xffff_ffff_0000_0001n);
    expect(target!.getBigUint64(8, true)).toBe(0x1234_5678_9abc_def0n);
    expect(swap(1n, 2n)).toBe(0x1234_5678_9abc_def0n);
    expect(target!.getBigUint64(8, true)).toBe(0x1234_5678_9abc_def0n);
  });

  test("fetch-and-add, modulo 2^64", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    const [old, target] = [left, right].map((side) => new DataView(side.memory.buffer));
    target!.setBigUint64(0, 0xffff_ffff_ffff_fffen, true);
    for (const before of [0xffff_ffff_ffff_fffen, 1n]) {
      left.queuePair.postSend(left.sendList(8).fetchAdd(1, right.memory.address, right.region.rkey, 3n));
      expectSuccess(pair, "FETCH_ADD");
      expect(old!.getBigUint64(0, true)).toBe(before);
    }
    expect(target!.getBigUint64(0, true)).toBe(4n);
  });

  test("scattered memory on both sides", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    pattern(left.memory.bytes);
    const { address } = left.memory;
    const { lkey } = left.region;
    const list = new SendList({ requests: 1, entries: 3 });
    list
      .entry(address + 100, 10, lkey)
      .entry(address + 500, 20, lkey)
      .entry(address, 5, lkey);
    left.queuePair.postSend(list.write(1, right.memory.address, right.region.rkey));
    expectSuccess(pair, "RDMA_WRITE");
    const sent = left.memory.bytes;
    const expected = [...sent.subarray(100, 110), ...sent.subarray(500, 520), ...sent.subarray(0, 5)];
    expect([...right.memory.bytes.subarray(0, 36)]).toEqual([...expected, 0]);
  });

  test("messages, writes and reads of no bytes", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    const { address } = right.memory;
    const { rkey } = right.region;
    right.fill(3);
    for (const id of [1, 2]) right.postReceive(id);
    const list = new SendList({ requests: 4, entries: 0 });
    left.queuePair.postSend(list.send(1).writeWithImmediate(2, address, rkey, 7).write(3, address, rkey));
    expect(left.take(3)).toMatchObject([1, 2, 3].map((workRequestId) => ({ workRequestId, status: "SUCCESS" })));
    list.clear();
    left.queuePair.postSend(list.read(4, address, rkey));
    expect(left.takeOne()).toMatchObject({ workRequestId: 4, status: "SUCCESS" });
    expect(right.take(2)).toMatchObject([
      { workRequestId: 1, opcode: "RECV", byteLength: 0 },
      { workRequestId: 2, opcode: "RECV_RDMA_WITH_IMM", immediate: 7 },
    ]);
    expect(right.memory.bytes.every((byte) => byte === 3)).toBe(true);
  });

  test("inline data, which may change right after the post and needs no key", () => {
    using pair = connectedPair({ capabilities: { inlineBytes: 64 } });
    const { left, right } = pair;
    left.fill(3);
    const list = new SendList({ requests: 1 }).entry(left.memory.address, 64, 0);
    const flags = SendFlag.INLINE | SendFlag.SIGNALED;
    left.queuePair.postSend(list.write(1, right.memory.address, right.region.rkey, flags));
    left.fill(4);
    expectSuccess(pair, "RDMA_WRITE");
    expect(right.memory.bytes[63]).toBe(3);
  });

  test("a list of writes of which only the last reports, again and again from one list", () => {
    using pair = connectedPair({ entries: 32 });
    const { left, right } = pair;
    const list = new SendList({ requests: 16 });
    for (let round = 0; round < 3; round++) {
      list.clear();
      left.fill(round + 1);
      for (let id = 0; id < 16; id++) {
        list.entry(left.memory.address + id * 64, 64, left.region.lkey);
        list.write(id, right.memory.address + id * 64, right.region.rkey, id === 15 ? SendFlag.SIGNALED : 0);
      }
      left.queuePair.postSend(list);
      expect(left.takeOne()).toMatchObject({ workRequestId: 15, status: "SUCCESS" });
      expect(left.completions.poll()).toBe(0);
      expect(right.memory.bytes.subarray(0, 1024).every((byte) => byte === round + 1)).toBe(true);
    }
  });

  test("request numbers up to 2^53", () => {
    using pair = connectedPair();
    const { left, right } = pair;
    const id = Number.MAX_SAFE_INTEGER - 2;
    left.queuePair.postSend(left.sendList(8).write(id, right.memory.address, right.region.rkey));
    expect(left.takeOne().workRequestId).toBe(id);
  });

  test("with signalAll, unsignalled requests report too", () => {
    using pair = connectedPair({ signalAll: true });
    const { left, right } = pair;
    left.queuePair.postSend(left.sendList(8).write(1, right.memory.address, right.region.rkey, 0));
    expect(left.takeOne().status).toBe("SUCCESS");
  });

  test("data under relaxed ordering", () => {
    const access = Access.LOCAL_WRITE | Access.REMOTE_WRITE | Access.RELAXED_ORDERING;
    using pair = connectedPair({ access });
    const { left, right } = pair;
    left.fill(8);
    left.queuePair.postSend(left.sendList(64).write(1, right.memory.address, right.region.rkey));
    expectSuccess(pair, "RDMA_WRITE");
    expect(right.memory.bytes[63]).toBe(8);
  });
});

describeRdma("an unreliable connection carries", () => {
  test("writes and messages, but no reads and no atomics", () => {
    using pair = connectedPair({ type: "UC" });
    const { left, right } = pair;
    const { address } = right.memory;
    left.fill(6);
    right.postReceive(1);
    left.queuePair.postSend(left.sendList(500).writeWithImmediate(1, address, right.region.rkey, 77));
    expectSuccess(pair, "RDMA_WRITE");
    expect(right.takeOne()).toMatchObject({ immediate: 77, status: "SUCCESS" });
    expect(right.memory.bytes[499]).toBe(6);
    const read = left.sendList(8).read(1, address, right.region.rkey);
    expect(thrownBy(() => left.queuePair.postSend(read)).message).toBe("a UC queue pair cannot carry RDMA_READ");
  });
});

describeRdma("datagrams carry", () => {
  function target({ left, right }: Pair, queueKey = QUEUE_KEY) {
    const address = left.domain.createAddressHandle({ port: 1, gid: right.gid.gid, sourceGidIndex: left.gid.index });
    return { address, queuePair: right.queuePair.number, queueKey };
  }

  test("a message behind 40 bytes of route header, with the sender's number and an immediate", () => {
    using pair = connectedPair({ type: "UD" });
    const { left, right } = pair;
    left.fill(11);
    right.postReceive(1);
    left.queuePair.postSend(left.sendList(200).sendToWithImmediate(2, target(pair), 0xcafe));
    expectSuccess(pair, "SEND");
    const received = right.takeOne();
    expect(received).toMatchObject({ byteLength: 240, hasRouteHeader: true, immediate: 0xcafe });
    expect(received.sourceQueuePair).toBe(left.queuePair.number);
    expect(right.memory.bytes.subarray(40, 240).every((byte) => byte === 11)).toBe(true);
  });

  test("an answer to where a message came from", () => {
    using pair = connectedPair({ type: "UD" });
    const { left, right } = pair;
    right.postReceive(1);
    left.queuePair.postSend(left.sendList(10).sendTo(2, target(pair)));
    left.takeOne();
    const { sourceQueuePair } = right.takeOne();
    const { completions } = right.completions;
    const sender = senderAddress(right.context.port(1), completions, 0, right.memory.address);
    expect(sender.gid!.equals(left.gid.gid)).toBe(true);
    left.postReceive(3);
    const address = right.domain.createAddressHandle(sender);
    const answer = { address, queuePair: sourceQueuePair!, queueKey: QUEUE_KEY };
    right.queuePair.postSend(right.sendList(20).sendTo(4, answer));
    expect(left.takeOne()).toMatchObject({ workRequestId: 3, byteLength: 60 });
  });

  test("nothing to a queue pair with another key", () => {
    using pair = connectedPair({ type: "UD" });
    const { left, right } = pair;
    right.postReceive(1);
    right.postReceive(2);
    left.queuePair.postSend(left.sendList(8).sendTo(1, target(pair, 0x2222_2222)));
    left.takeOne();
    left.queuePair.postSend(left.sendList(9).sendTo(2, target(pair)));
    expect(right.takeOne()).toMatchObject({ workRequestId: 1, byteLength: 49 });
  });

  test("only sendTo, to an address handle of the same domain that is open", () => {
    using pair = connectedPair({ type: "UD" });
    using connected = connectedPair();
    const { left, right } = pair;
    const post = (list: SendList) => thrownBy(() => left.queuePair.postSend(list));
    expect(post(left.sendList(8).send(1)).code).toBe("INVALID_ARGUMENT");
    expect(post(left.sendList(8).write(1, 0, 0)).message).toBe("a UD queue pair cannot carry RDMA_WRITE");
    const foreign = right.domain.createAddressHandle({ port: 1, gid: left.gid.gid, sourceGidIndex: right.gid.index });
    const list = left.sendList(8).sendTo(1, { ...target(pair), address: foreign });
    expect(post(list).code).toBe("FOREIGN_OBJECT");
    const own = target(pair);
    const closed = left.sendList(8).sendTo(1, own);
    own.address.close();
    expect(post(closed).code).toBe("CLOSED");
    const toConnected = connected.left.sendList(8).sendTo(1, target(pair));
    expect(thrownBy(() => connected.left.queuePair.postSend(toConnected)).code).toBe("INVALID_ARGUMENT");
  });
});
