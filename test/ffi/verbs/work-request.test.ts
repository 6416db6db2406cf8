import { describe, expect, test } from "bun:test";
import { unsafeReadAddress, unsafeReadU64, unsafeViewAt } from "../../../ffi/runtime/index.ts";
import { PostError, ReceiveList, SendFlag, SendList } from "../../../ffi/verbs/index.ts";
import { structs, unsafeReadField } from "../../../ffi/verbs/abi/index.ts";
import type { Post } from "../../../ffi/verbs/work-request.ts";
import { thrownBy } from "./support/loopback.ts";

const { sendWorkRequest, receiveWorkRequest, scatterGatherEntry } = structs;

/** What a provider would find: every request of the chain, by C's names. */
function chain(first: number, layout: typeof sendWorkRequest | typeof receiveWorkRequest) {
  const requests: number[] = [];
  for (let address = first; address !== 0; address = unsafeReadAddress(address, layout.fields.next.offset)) {
    requests.push(address);
  }
  return requests.map((address) => {
    const count = unsafeReadField(address, layout, "num_sge");
    const list = unsafeReadField(address, layout, "sg_list");
    const entries = Array.from({ length: count }, (_, index) => {
      const entry = list + index * scatterGatherEntry.size;
      return (["addr", "length", "lkey"] as const).map((name) => unsafeReadField(entry, scatterGatherEntry, name));
    });
    return { address, id: unsafeReadU64(address, layout.fields.wr_id.offset), entries };
  });
}

/** Posts to a stub that keeps what it was given. */
function posted(list: SendList | ReceiveList, layout: typeof sendWorkRequest | typeof receiveWorkRequest) {
  let seen: ReturnType<typeof chain> = [];
  const post: Post = (queue, first) => {
    expect(queue).toBe(4711);
    seen = chain(first, layout);
    return 0;
  };
  list.unsafePost(post, 4711, "ibv_post");
  return seen;
}

const field = (address: number, name: keyof typeof sendWorkRequest.fields) =>
  unsafeReadField(address, sendWorkRequest, name);

describe("a list of send requests", () => {
  test("is a chain of ibv_send_wr, each with its own entries", () => {
    const list = new SendList({ requests: 4, entries: 8 });
    list.entry(0x7fff_1234_5678, 10, 1).entry(0x8000_0000, 0xffff_ffff, 0xffff_fffe).write(7, 0x7abc_0000_0010, 99, 0);
    list.send(2 ** 53 - 1);
    list.entry(16, 8, 3).read(9, 0xffff_fff8, 5);
    const [write, send, read, ...more] = posted(list, sendWorkRequest);
    expect(more).toEqual([]);
    expect(write).toMatchObject({
      id: 7n,
      entries: [
        [0x7fff_1234_5678, 10, 1],
        [0x8000_0000, 0xffff_ffff, 0xffff_fffe],
      ],
    });
    expect(field(write!.address, "opcode")).toBe(0);
    expect(field(write!.address, "send_flags")).toBe(0);
    expect(field(write!.address, "wr.rdma.remote_addr")).toBe(0x7abc_0000_0010);
    expect(field(write!.address, "wr.rdma.rkey")).toBe(99);
    expect(send).toMatchObject({ id: 2n ** 53n - 1n, entries: [] });
    expect(field(send!.address, "send_flags")).toBe(SendFlag.SIGNALED);
    expect(read).toMatchObject({ id: 9n, entries: [[16, 8, 3]] });
    expect(field(read!.address, "opcode")).toBe(4);
    expect(list.widest).toBe(2);
  });

  test("writes immediates in network order, keys in host order, and atomics' operands whole", () => {
    const list = new SendList({ requests: 4 });
    list.sendWithImmediate(1, 0x0102_0304).sendWithInvalidate(2, 0x0102_0304);
    list.entry(0, 8, 0).compareSwap(3, 64, 11, 0xfedc_ba98_7654_3210n, -1n);
    list.entry(0, 8, 0).fetchAdd(4, 72, 12, 1n << 40n);
    const [immediate, invalidate, swap, add] = posted(list, sendWorkRequest).map(({ address }) => address);
    const bytes = new Uint8Array(unsafeViewAt(immediate! + sendWorkRequest.fields.imm_data.offset, 4));
    expect([...bytes]).toEqual([1, 2, 3, 4]);
    expect(field(invalidate!, "invalidate_rkey")).toBe(0x0102_0304);
    const { "wr.atomic.compare_add": operand, "wr.atomic.swap": replacement } = sendWorkRequest.fields;
    expect(unsafeReadU64(swap!, operand.offset)).toBe(0xfedc_ba98_7654_3210n);
    expect(unsafeReadU64(swap!, replacement.offset)).toBe(0xffff_ffff_ffff_ffffn);
    expect(field(swap!, "wr.atomic.rkey")).toBe(11);
    expect(unsafeReadU64(add!, operand.offset)).toBe(1n << 40n);
  });

  test("can be posted again, longer, shorter and after clear()", () => {
    const list = new SendList({ requests: 3 }).send(1).send(2);
    const ids = () => posted(list, sendWorkRequest).map(({ id }) => Number(id));
    expect(ids()).toEqual([1, 2]);
    expect(ids()).toEqual([1, 2]);
    list.send(3);
    expect(ids()).toEqual([1, 2, 3]);
    list.clear();
    list.send(9);
    expect(ids()).toEqual([9]);
    expect(list).toMatchObject({ count: 1, widest: 0, opcodes: 1 << 2, largestInline: 0 });
  });

  test("refuses more than it has room for", () => {
    const list = new SendList({ requests: 1, entries: 1 }).entry(0, 1, 1);
    expect(thrownBy(() => list.entry(0, 1, 1)).code).toBe("TOO_MANY_ENTRIES");
    list.send(1);
    expect(thrownBy(() => list.send(2)).code).toBe("LIST_TOO_LONG");
    expect(() => new SendList({ requests: 0 })).toThrow("requests must be an integer");
  });

  test("refuses atomics that are unaligned or not 8 bytes", () => {
    const list = new SendList({ requests: 2, entries: 4 }).entry(0, 8, 1);
    expect(thrownBy(() => list.fetchAdd(1, 0x1004, 1, 1n)).code).toBe("UNALIGNED_ATOMIC");
    expect(thrownBy(() => list.entry(0, 8, 1).compareSwap(1, 0x1000, 1, 1n, 2n)).code).toBe("INVALID_ARGUMENT");
  });

  test("says how many requests a full queue took", () => {
    const list = new SendList({ requests: 3 }).send(1).send(2).send(3);
    const full: Post = (_queue, first, bad) => {
      new DataView(unsafeViewAt(bad, 8)).setBigUint64(0, BigInt(first + 2 * sendWorkRequest.size), true);
      return 12;
    };
    const error = thrownBy(() => list.unsafePost(full, 4711, "ibv_post_send"));
    expect(error).toBeInstanceOf(PostError);
    expect(error).toMatchObject({ code: "ENOMEM", errno: 12, posted: 2, verb: "ibv_post_send" });
    expect(error.message).toContain("2 of 3 requests were posted; the queue is full");
    expect(posted(list, sendWorkRequest)).toHaveLength(3);
  });

  test("counts the bytes of the largest inline request", () => {
    const list = new SendList({ requests: 3, entries: 6 });
    list.entry(0, 10, 0).entry(0, 20, 0).send(1, SendFlag.INLINE).entry(0, 100, 0).send(2).entry(0, 5, 0);
    list.send(3, SendFlag.INLINE);
    expect(list.largestInline).toBe(30);
  });
});

describe("a list of receive requests", () => {
  test("is a chain of ibv_recv_wr", () => {
    const list = new ReceiveList({ requests: 2, entries: 3 });
    list.entry(100, 1, 2).entry(200, 3, 4).receive(5).entry(300, 6, 7).receive(8);
    expect(posted(list, receiveWorkRequest).map(({ id, entries }) => ({ id, entries }))).toEqual([
      {
        id: 5n,
        entries: [
          [100, 1, 2],
          [200, 3, 4],
        ],
      },
      { id: 8n, entries: [[300, 6, 7]] },
    ]);
  });
});
