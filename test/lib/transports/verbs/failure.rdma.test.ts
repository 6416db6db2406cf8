import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { WriteBatch } from "../../../../lib/transports/transport.ts";
import { describeRdma } from "../../../rxe/describe.ts";
import { collectedHeap } from "../../memory/heap.ts";
import { makePool } from "../support/context.ts";
import { emptyPlan, planOf, Random } from "../support/plans.ts";
import { VerbsPair } from "./pair.ts";

const KiB = 1024;
const BYTES = 2048 * KiB;
/** About 0.1 s on soft-RoCE until a silent peer is given up. */
const options = { timeout: 10, retryCount: 5, windowBytes: 256 * KiB, maxWriteBytes: 64 * KiB, fenceGraceMs: 300 };

const descriptors = (): number => readdirSync("/proc/self/fd").length;

describeRdma("failures over verbs", () => {
  const { mapping: source, buffer: from } = makePool(BYTES);
  const { mapping: target, buffer: to } = makePool(BYTES);

  const open = (more: Partial<ConstructorParameters<typeof VerbsPair>[0]> = {}): VerbsPair =>
    new VerbsPair({ source: [from], target: [to], options, ...more });

  /** One room that writes `byteLength` bytes at `at`, in pages of 4 KiB. */
  const batchOf = (tag: number, at = 0, byteLength = BYTES / 2): WriteBatch => ({
    tag,
    plan: planOf(
      Array.from({ length: byteLength / (4 * KiB) }, (_, page) => ({
        source: source.address + page * 4 * KiB,
        // Every other page, so that nothing can be merged.
        destination:
          target.address +
          at +
          ((page * 2 + (page >= byteLength / (8 * KiB) ? 1 : 0)) % (byteLength / (4 * KiB))) * 4 * KiB,
        byteLength: 4 * KiB,
      })),
    ),
    last: { aux: emptyPlan, totalBytes: byteLength },
  });

  test("a revoked room gets no byte after its fence, chunks that come later fail, other rooms go on", () => {
    source.bytes.fill(0xaa);
    target.bytes.fill(0);
    using pair = open().connect();
    pair.inbound.expect(1);
    pair.inbound.expect(2);
    pair.outbound.write(batchOf(1));
    pair.outbound.write(batchOf(2, BYTES / 2));
    pair.until(() => target.bytes[0] === 0xaa);
    expect(pair.inbound.revoke(1)).toBe(false);
    expect(pair.inbound.unfenced).toBe(1);
    pair.until(() => pair.inboundLog.fencedTags.includes(1));
    expect(pair.inboundLog.arrivals.map(({ tag }) => tag)).not.toContain(1);
    target.bytes.fill(0x55, 0, BYTES / 2);
    pair.outbound.write(batchOf(1));
    pair.until(() => pair.inboundLog.arrivals.length === 1 && pair.outboundLog.failures.length === 2);
    expect(pair.inboundLog.arrivals).toEqual([{ tag: 2, totalBytes: BYTES / 2 }]);
    expect(target.bytes.subarray(0, BYTES / 2).every((byte) => byte === 0x55)).toBe(true);
    expect(target.bytes.subarray(BYTES / 2).every((byte) => byte === 0xaa)).toBe(true);
    for (const { batch, error } of pair.outboundLog.failures) expect([batch.tag, error.code]).toEqual([1, "ABORTED"]);
    expect(pair.inbound.unfenced).toBe(0);
    expect(pair.inbound.revoke(1)).toBe(true);
  });

  test("a sender that does not answer is locked out: nothing lands after the fence, and the next pair works", () => {
    source.bytes.fill(0xaa);
    target.bytes.fill(0);
    using pair = open().connect();
    pair.inbound.expect(1);
    pair.outbound.write(batchOf(1));
    pair.until(() => target.bytes[0] === 0xaa);
    pair.stopped = true;
    expect(pair.inbound.revoke(1)).toBe(false);
    pair.until(() => pair.inboundLog.error !== undefined);
    expect(pair.inboundLog.error).toMatchObject({ code: "PEER_LOST", step: "fence", status: "ETIMEDOUT" });
    expect(pair.inbound.unfenced).toBe(0);
    target.bytes.fill(0x55);
    pair.stopped = false;
    pair.until(() => pair.outboundLog.error !== undefined);
    expect(pair.outboundLog.error).toMatchObject({ code: "PEER_LOST", status: "IBV_WC_RETRY_EXC_ERR" });
    expect(pair.outboundLog.failures).toHaveLength(1);
    expect(target.bytes.every((byte) => byte === 0x55)).toBe(true);

    using next = open().connect();
    next.inbound.expect(1);
    next.outbound.write(batchOf(1));
    next.until(() => next.inboundLog.arrivals.length === 1);
  });

  test("with memory windows, a sender that stands still loses the revoked room's keys alone: the other room is whole", () => {
    source.bytes.fill(0xaa);
    target.bytes.fill(0);
    using pair = open({ options: { ...options, windows: true, fenceGraceMs: 2_000 } }).connect();
    expect(pair.inbound.offer).not.toHaveProperty("rails.0.keys");
    pair.inbound.expect(1);
    pair.inbound.expect(2);
    pair.outbound.write(batchOf(1));
    pair.outbound.write(batchOf(2, BYTES / 2));
    pair.until(() => target.bytes[0] === 0xaa);
    pair.stopped = true;
    expect(pair.inbound.revoke(1)).toBe(false);
    pair.until(() => pair.inboundLog.fencedTags.includes(1));
    target.bytes.fill(0x55, 0, BYTES / 2);
    pair.stopped = false;
    pair.until(() => pair.inboundLog.arrivals.length === 1 && pair.outboundLog.failures.length === 1);
    expect(pair.inboundLog.arrivals).toEqual([{ tag: 2, totalBytes: BYTES / 2 }]);
    expect(target.bytes.subarray(0, BYTES / 2).every((byte) => byte === 0x55)).toBe(true);
    expect(target.bytes.subarray(BYTES / 2).every((byte) => byte === 0xaa)).toBe(true);
    expect([pair.inboundLog.error, pair.outboundLog.error]).toEqual([undefined, undefined]);
  });

  test.each([false, true])(
    "rooms revoked under load, memory windows %p: no foreign byte in their pages, the others are whole, the pair is kept",
    (windows) => {
      const random = new Random(5);
      const bytes = BYTES / 8;
      using pair = open({ options: { ...options, windows, fenceGraceMs: 1_000 } }).connect();
      source.bytes.fill(0xaa);
      for (let generation = 1; generation <= 8; generation++) {
        const tags = Array.from({ length: 8 }, (_, slot) => ((generation << 16) | slot) >>> 0);
        const pagesOf = (tag: number): Uint8Array => target.bytes.subarray((tag & 7) * bytes, ((tag & 7) + 1) * bytes);
        target.bytes.fill(0);
        for (const tag of tags) pair.inbound.expect(tag);
        for (const tag of tags) pair.outbound.write(batchOf(tag, (tag & 7) * bytes, bytes));
        const revoked = random
          .shuffled(8)
          .slice(0, 4)
          .map((slot) => tags[slot]!);
        // They go on being written to until the sender hears of it; another's bytes are there at once.
        for (let turns = random.below(20); turns > 0; turns--) pair.turn();
        const ended = new Set(pair.inboundLog.arrivals.map(({ tag }) => tag));
        const taken = revoked.filter((tag) => !ended.has(tag));
        for (const tag of taken) if (pair.inbound.revoke(tag)) pair.inboundLog.fencedTags.push(tag);
        const filled = new Set<number>();
        pair.until(() => {
          for (const tag of pair.inboundLog.fencedTags.filter((each) => !filled.has(each))) {
            filled.add(tag);
            pagesOf(tag).fill(0x55);
          }
          const { length } = pair.inboundLog.arrivals;
          return (
            filled.size + length === 8 &&
            pair.outboundLog.failures.length + pair.outboundLog.writtenBatches.length === 8
          );
        });
        for (const tag of tags) {
          const expected = filled.has(tag) ? 0x55 : 0xaa;
          expect(pagesOf(tag).every((byte) => byte === expected)).toBe(true);
        }
        expect(filled.size).toBe(taken.length);
        pair.inboundLog.fencedTags.length = pair.inboundLog.arrivals.length = 0;
        pair.outboundLog.failures.length = pair.outboundLog.writtenBatches.length = 0;
      }
      expect([pair.inboundLog.error, pair.outboundLog.error]).toEqual([undefined, undefined]);
    },
  );

  test("a cancelled room's batches fail with the given cause once nothing of them is under way", () => {
    using pair = open().connect();
    source.bytes.fill(3);
    target.bytes.fill(0);
    pair.inbound.expect(1);
    pair.outbound.write(batchOf(1));
    pair.outbound.write(batchOf(1));
    pair.until(() => target.bytes[0] === 3);
    const cause = Object.assign(new Error("test"), { code: "ABORTED" });
    pair.outbound.cancel(1, cause as never);
    pair.until(() => pair.outboundLog.failures.length === 2);
    expect(pair.outboundLog.failures.map(({ error }) => error as unknown)).toEqual([cause, cause]);
    target.bytes.fill(0x55);
    pair.inbound.revoke(1);
    pair.until(() => pair.inboundLog.fencedTags.length === 1);
    expect(target.bytes.every((byte) => byte === 0x55)).toBe(true);
  });

  test("a wrong key ends the pair on both sides with its status by name, and the next pair works", () => {
    {
      using pair = open({ tamper: ({ rails }) => (rails[0]!.keys[0]! ^= 0xff) }).connect();
      pair.inbound.expect(1);
      const batch = batchOf(1);
      pair.outbound.write(batch);
      pair.until(() => pair.outboundLog.error !== undefined && pair.inboundLog.error !== undefined);
      expect(pair.outboundLog.error).toMatchObject({ code: "NATIVE", status: "IBV_WC_REM_ACCESS_ERR", step: "write" });
      expect(pair.outboundLog.failures.map((failure) => failure.batch)).toEqual([batch]);
      expect(pair.inboundLog.error!.status).toStartWith("IBV_");
    }
    using next = open().connect();
    next.inbound.expect(1);
    next.outbound.write(batchOf(1));
    next.until(() => next.inboundLog.arrivals.length === 1);
  });

  test("pages that are registered nowhere fail their room alone", () => {
    using pair = open().connect();
    pair.inbound.expect(1);
    pair.inbound.expect(2);
    const outside = { source: source.address, destination: target.address + BYTES - 16, byteLength: 32 };
    pair.outbound.write({ tag: 1, plan: planOf([outside]), last: { aux: emptyPlan, totalBytes: 32 } });
    pair.outbound.write(batchOf(2));
    pair.until(() => pair.outboundLog.failures.length === 1 && pair.inboundLog.arrivals.length === 1);
    expect(pair.outboundLog.failures[0]!.error).toMatchObject({ code: "PROTOCOL", step: "write" });
    expect(pair.inboundLog.arrivals[0]!.tag).toBe(2);
  });

  test("a path that does not work is found at accept, before a room depends on it", () => {
    using pair = open();
    pair.until(() => pair.outboundLog.isConnected);
    pair.outbound.close();
    pair.inbound.accept(pair.outbound.endpoint);
    pair.until(() => pair.inboundLog.error !== undefined);
    expect(pair.inboundLog.error).toMatchObject({ code: "PEER_LOST", status: "IBV_WC_RETRY_EXC_ERR" });
    expect(pair.inboundLog.isConnected).toBe(false);
  });

  test("closing either end is lost to the other, with its batches failed before", () => {
    using one = open().connect();
    one.inbound.expect(1);
    one.outbound.close();
    one.until(() => one.inboundLog.error !== undefined);
    expect(one.inboundLog.error).toMatchObject({ code: "PEER_LOST", peer: "prefill peer (verbs)" });
    expect([one.inbound.unfenced, one.outboundLog.error]).toEqual([0, undefined]);

    using two = open().connect();
    two.inbound.close();
    two.outbound.write({ tag: 1, plan: emptyPlan, last: { aux: emptyPlan, totalBytes: 0 } });
    two.until(() => two.outboundLog.error !== undefined);
    expect(two.outboundLog.error!.code).toBe("PEER_LOST");
    expect(two.outboundLog.failures).toHaveLength(1);
    expect(two.inboundLog.error).toBeUndefined();
  });

  test("keep-alives are heard, and an idle pair says nothing by itself", () => {
    using pair = open().connect();
    for (let i = 0; i < 50; i++) pair.turn();
    const before = pair.inboundLog.heardCount;
    for (let i = 0; i < 50; i++) pair.turn();
    expect(pair.inboundLog.heardCount).toBe(before);
    pair.outbound.keepAlive();
    pair.until(() => pair.inboundLog.heardCount === before + 1);
  });

  test("nothing is written before the receiver has said ready", () => {
    using pair = open();
    pair.until(() => pair.outboundLog.isConnected);
    pair.inbound.accept(pair.outbound.endpoint);
    pair.until(() => pair.inboundLog.isConnected);
    pair.inbound.expect(1);
    pair.outbound.write(batchOf(1, 0, 4 * KiB));
    for (let i = 0; i < 50; i++) pair.turn();
    expect(pair.inboundLog.arrivals).toEqual([]);
    pair.outbound.confirm();
    pair.until(() => pair.inboundLog.arrivals.length === 1);
  });

  test("a manager without queue pairs left offers that it has none, and has one again when a pair is closed", () => {
    using pair = open({ options: { ...options, maxQueuePairs: 1 } });
    const second = pair.decode.openInbound("another", pair.inboundLog);
    expect(second.offer).toEqual({ version: 3, unusable: "1 of 1 queue pairs are in use, 1 more are needed" });
    expect(() => pair.prefill.openOutbound("decode", second.offer, pair.outboundLog)).toThrow("queue pairs are in use");
    pair.inbound.close();
    const third = pair.decode.openInbound("another", pair.inboundLog);
    expect(third.offer).toHaveProperty("lanes");
  });

  test("1,000 rooms, and pairs that come and go, leave no descriptor, no watch and no memory behind", () => {
    const pair = open();
    pair.connect();
    const run = (first: number, count: number): void => {
      for (let room = first; room < first + count; room++) {
        const tag = ((room & 0xf) | (room << 16)) >>> 0;
        pair.inbound.expect(tag);
        pair.outbound.write(batchOf(tag, 0, 8 * KiB));
        if (room % 16 !== 15) continue;
        pair.until(() => pair.inboundLog.arrivals.length === 16 && pair.outboundLog.writtenBatches.length === 16);
        pair.inboundLog.arrivals.length = 0;
        pair.outboundLog.writtenBatches.length = 0;
      }
    };
    run(0, 208);
    const before = { descriptors: descriptors(), watches: pair.reactor.watches };
    const { objects } = collectedHeap();
    run(208, 800);
    expect((collectedHeap().objects - objects) / 800).toBeLessThan(0.25);
    expect({ descriptors: descriptors(), watches: pair.reactor.watches }).toEqual(before);
    pair[Symbol.dispose]();
    expect(pair.reactor.watches + pair.prefillReactor.watches).toBe(0);
    const closed = descriptors();
    for (let i = 0; i < 10; i++) open().connect()[Symbol.dispose]();
    expect(descriptors()).toBe(closed);
  }, 60_000);
});
