import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { KVTransferError } from "../../../lib/errors.ts";
import type { WriteBatch } from "../../../lib/transports/transport.ts";
import { makePool, transportNames } from "./support/context.ts";
import { TestPair } from "./support/pair.ts";
import { emptyPlan, type Piece, planOf, Random } from "./support/plans.ts";

const KiB = 1024;

function fillWords(bytes: Uint8Array, seed: number): void {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + seed, 2654435761);
}

describe.each(transportNames)("%s", (name) => {
  /** Where a plan must aim: the peer's buffer as seen by this transport. */
  const baseOf = (pair: TestPair, address: number): number => pair.outbound.destinationBases?.[0] ?? address;

  test("random layouts of pages land byte for byte, and no other byte changes", () => {
    const random = new Random(7);
    const bytes = 4 * 1024 * KiB;
    const { mapping: source } = makePool(bytes, { shared: false });
    const { mapping: target, buffer } = makePool(bytes);
    fillWords(source.bytes, 1);
    using pair = new TestPair(name, { decode: { buffers: [buffer] } }).connect();
    const base = baseOf(pair, buffer.address);
    for (let round = 0; round < 12; round++) {
      const unit = [1, 64, 1 * KiB, 4 * KiB, 16 * KiB, 100 * KiB][round % 6]!;
      const slots = Math.min(20_000, Math.floor(bytes / unit));
      const count = Math.min(slots, 1 + random.below(3_000));
      const from = random.shuffled(slots);
      const to = random.shuffled(slots);
      target.bytes.fill(0);
      const expected = new Uint8Array(bytes);
      const pieces: Piece[] = [];
      for (let i = 0; i < count; i++) {
        const byteLength = 1 + random.below(unit);
        const source_ = from[i]! * unit;
        const destination = to[i]! * unit;
        pieces.push({ source: source.address + source_, destination: base + destination, byteLength });
        expected.set(source.bytes.subarray(source_, source_ + byteLength), destination);
      }
      const cut = random.below(pieces.length);
      const tag = 0x1_0000 * (round + 1) + round;
      pair.inbound.expect(tag);
      const totalBytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
      pair.outbound.write({ tag, plan: planOf(pieces.slice(0, cut)) });
      pair.outbound.write({
        tag,
        plan: planOf(pieces.slice(cut, -1)),
        last: { aux: planOf(pieces.slice(-1)), totalBytes },
      });
      pair.until(
        () =>
          pair.inboundLog.arrivals.length === round + 1 && pair.outboundLog.writtenBatches.length === 2 * (round + 1),
      );
      expect(pair.inboundLog.arrivals.at(-1)).toEqual({ tag, totalBytes });
      expect(Buffer.compare(target.bytes, expected)).toBe(0);
    }
    target.close();
    source.close();
  });

  test("a large room does not keep a small one waiting, and chunks of one room keep their order", () => {
    const bytes = 64 * 1024 * KiB;
    const { mapping: source } = makePool(bytes, { shared: false });
    const { mapping: target, buffer } = makePool(bytes);
    using pair = new TestPair(name, { decode: { buffers: [buffer] } }).connect();
    const base = baseOf(pair, buffer.address);
    pair.inbound.expect(1);
    pair.inbound.expect(2);
    const large = { source: source.address, destination: base, byteLength: bytes - 8 * KiB };
    const page = { source: source.address, destination: base + bytes - 4 * KiB, byteLength: 4 * KiB };
    const first = { tag: 1, plan: planOf([large]) };
    const second = { tag: 1, plan: emptyPlan, last: { aux: emptyPlan, totalBytes: large.byteLength } };
    const small = { tag: 2, plan: planOf([page]), last: { aux: emptyPlan, totalBytes: 4 * KiB } };
    pair.outbound.write(first);
    pair.outbound.write(second);
    pair.outbound.write(small);
    pair.until(() => pair.inboundLog.arrivals.length === 2 && pair.outboundLog.writtenBatches.length === 3);
    expect(pair.inboundLog.arrivals.map(({ tag }) => tag)).toEqual([2, 1]);
    expect(pair.outboundLog.writtenBatches).toEqual([small, first, second]);
    target.close();
    source.close();
  });

  test("nothing moves before the receiver has said ready", () => {
    const { mapping, buffer } = makePool(64 * KiB);
    using pair = new TestPair(name, { decode: { buffers: [buffer] } });
    pair.until(() => pair.outboundLog.isConnected);
    pair.inbound.accept(pair.outbound.endpoint);
    pair.until(() => pair.inboundLog.isConnected);
    pair.inbound.expect(1);
    pair.outbound.write({ tag: 1, plan: emptyPlan, last: { aux: emptyPlan, totalBytes: 0 } });
    for (let i = 0; i < 20; i++) pair.turn();
    expect(pair.inboundLog.arrivals).toEqual([]);
    pair.outbound.confirm();
    pair.until(() => pair.inboundLog.arrivals.length === 1);
    mapping.close();
  });

  test("a room of no pages is its aux slot and a notification", () => {
    const { mapping: source } = makePool(4 * KiB, { shared: false });
    const { mapping: target, buffer } = makePool(4 * KiB);
    source.bytes.fill(9);
    using pair = new TestPair(name, { decode: { buffers: [buffer] } }).connect();
    pair.inbound.expect(5);
    const aux = planOf([{ source: source.address, destination: baseOf(pair, buffer.address) + 512, byteLength: 256 }]);
    pair.outbound.write({ tag: 5, plan: emptyPlan, last: { aux, totalBytes: 256 } });
    pair.until(() => pair.inboundLog.arrivals.length === 1);
    expect([...target.bytes.subarray(510, 514)]).toEqual([0, 0, 9, 9]);
    target.close();
    source.close();
  });

  test("messages reach the sender by the pair's own way, in order, between rooms; those that are too long do not", () => {
    using pair = new TestPair(name).connect();
    const random = new Random(3);
    const messages = Array.from({ length: 500 }, (_, index) => [
      Uint8Array.of(index & 0xff),
      Uint8Array.from({ length: random.below(index % 50 === 0 ? 60_000 : 900) }, () => random.below(256)),
      new Uint8Array(0),
    ]);
    for (const [tag, frames] of messages.entries()) {
      pair.inbound.expect(tag);
      pair.outbound.write({ tag, plan: emptyPlan, last: { aux: emptyPlan, totalBytes: 0 } });
      expect(pair.inbound.carry!(frames)).toBe(true);
      if (tag % 7 === 0) pair.turn();
    }
    expect(pair.inbound.carry!([new Uint8Array(2 * 1024 * KiB)])).toBe(false);
    pair.until(
      () => pair.outboundLog.messages.length === messages.length && pair.inboundLog.arrivals.length === messages.length,
    );
    expect(pair.outboundLog.messages).toEqual(messages);
  });

  test("a revoked room gets no byte after its fence, chunks that come later fail, other rooms go on", () => {
    const bytes = 32 * 1024 * KiB;
    const { mapping: source } = makePool(bytes, { shared: false });
    const { mapping: target, buffer } = makePool(bytes);
    source.bytes.fill(0xaa);
    using pair = new TestPair(name, { decode: { buffers: [buffer] } }).connect();
    const base = baseOf(pair, buffer.address);
    const half = bytes / 2;
    const batchOf = (tag: number, at: number): WriteBatch => ({
      tag,
      plan: planOf([{ source: source.address, destination: base + at, byteLength: half }]),
      last: { aux: emptyPlan, totalBytes: half },
    });
    pair.inbound.expect(1);
    pair.inbound.expect(2);
    pair.outbound.write(batchOf(1, 0));
    pair.outbound.write(batchOf(2, half));
    pair.until(() => target.bytes[4096] === 0xaa);
    const revoked = pair.inbound.revoke(1);
    expect(revoked).toBe(name === "tcp");
    pair.until(() => revoked || pair.inboundLog.fencedTags.includes(1));
    expect(pair.inbound.unfenced).toBe(name === "tcp" ? 0 : 1);
    target.bytes.fill(0x55, 0, half);
    pair.outbound.write(batchOf(1, 0));
    pair.until(() => pair.inboundLog.arrivals.length === 1 && pair.outboundLog.failures.length === 2);
    expect(pair.inboundLog.arrivals).toEqual([{ tag: 2, totalBytes: half }]);
    expect(target.bytes.subarray(0, half).every((byte) => byte === 0x55)).toBe(true);
    expect(target.bytes.subarray(half).every((byte) => byte === 0xaa)).toBe(true);
    for (const { batch, error } of pair.outboundLog.failures) {
      expect([batch.tag, error.code, error.step]).toEqual([1, "ABORTED", "write"]);
    }
    expect(pair.inbound.unfenced).toBe(0);
    expect(pair.inbound.revoke(1)).toBe(true);
    target.close();
    source.close();
  });

  test("a cancelled room's batches fail with the given cause, and the next room is whole", () => {
    const bytes = 16 * 1024 * KiB;
    const { mapping: source } = makePool(bytes, { shared: false });
    const { mapping: target, buffer } = makePool(bytes);
    source.bytes.fill(3);
    using pair = new TestPair(name, { decode: { buffers: [buffer] } }).connect();
    const base = baseOf(pair, buffer.address);
    const plan = planOf([{ source: source.address, destination: base, byteLength: bytes }]);
    pair.inbound.expect(1);
    pair.outbound.write({ tag: 1, plan });
    pair.outbound.write({ tag: 1, plan, last: { aux: emptyPlan, totalBytes: 2 * bytes } });
    pair.until(() => target.bytes[0] === 3);
    const cause = new KVTransferError("ABORTED", "test");
    pair.outbound.cancel(1, cause);
    pair.until(() => pair.outboundLog.failures.length === 2);
    expect(pair.outboundLog.failures.map(({ error }) => error)).toEqual([cause, cause]);
    pair.inbound.revoke(1);
    pair.inbound.expect(2);
    pair.outbound.write({ tag: 2, plan, last: { aux: emptyPlan, totalBytes: bytes } });
    pair.until(() => pair.inboundLog.arrivals.length === 1);
    expect(pair.inboundLog.arrivals[0]!.tag).toBe(2);
    expect(target.bytes.every((byte) => byte === 3)).toBe(true);
    target.close();
    source.close();
  });

  test("closing either end is lost to the other, with its batches failed before", () => {
    const { mapping: target, buffer } = makePool(64 * KiB);
    using one = new TestPair(name, { decode: { buffers: [buffer] } }).connect();
    one.inbound.expect(1);
    one.outbound.close();
    one.until(() => one.inboundLog.error !== undefined);
    expect(one.inboundLog.error).toMatchObject({
      name: "KVTransferError",
      code: "PEER_LOST",
      peer: `prefill peer (${name})`,
    });
    expect([one.inbound.unfenced, one.outboundLog.error]).toEqual([0, undefined]);

    using two = new TestPair(name, { decode: { buffers: [buffer] } }).connect();
    two.inbound.close();
    const batch = { tag: 1, plan: emptyPlan, last: { aux: emptyPlan, totalBytes: 0 } };
    two.outbound.write(batch);
    two.until(() => two.outboundLog.error !== undefined);
    expect(["PEER_LOST", "NATIVE"]).toContain(two.outboundLog.error!.code);
    expect(two.inboundLog.error).toBeUndefined();
    target.close();
  });

  test.each(["written", "failed"] as const)(
    "an end that is closed by an event (%s) reports nothing after it",
    (event) => {
      const { mapping: source } = makePool(64 * KiB, { shared: false });
      const { mapping: target, buffer } = makePool(64 * KiB);
      using pair = new TestPair(name, { decode: { buffers: [buffer] } }).connect();
      const log = pair.outboundLog;
      const plan = planOf([{ source: source.address, destination: baseOf(pair, buffer.address), byteLength: 16 }]);
      log.written = (batch) => {
        log.writtenBatches.push(batch);
        pair.outbound.close();
      };
      log.failed = (batch, error) => {
        log.failures.push({ batch, error });
        pair.outbound.close();
      };
      pair.inbound.expect(1);
      for (let i = 0; i < 5; i++) pair.outbound.write({ tag: 1, plan });
      if (event === "failed") pair.outbound.cancel(1, new KVTransferError("ABORTED", "test"));
      pair.until(() => pair.inboundLog.error !== undefined);
      for (let i = 0; i < 5; i++) pair.turn();
      expect([log.writtenBatches.length, log.failures.length]).toEqual(event === "written" ? [1, 0] : [0, 1]);
      expect(log.error).toBeUndefined();
      target.close();
      source.close();
    },
  );

  test("keep-alives are heard, and an idle pair says nothing by itself", () => {
    const { mapping, buffer } = makePool(64 * KiB);
    using pair = new TestPair(name, { decode: { buffers: [buffer] } }).connect();
    for (let i = 0; i < 5; i++) pair.turn();
    const before = pair.inboundLog.heardCount;
    for (let i = 0; i < 20; i++) pair.turn();
    expect(pair.inboundLog.heardCount).toBe(before);
    pair.outbound.keepAlive();
    pair.until(() => pair.inboundLog.heardCount === before + 1);
    mapping.close();
  });

  test("10,000 rooms leave no descriptor, no watch and no memory behind", () => {
    const { mapping: source } = makePool(64 * KiB, { shared: false });
    const { mapping: target, buffer } = makePool(64 * KiB);
    const descriptors = (): number => readdirSync("/proc/self/fd").length;
    const pair = new TestPair(name, { decode: { buffers: [buffer] } });
    pair.connect();
    const watchesBefore = pair.reactor.watches;
    const base = baseOf(pair, buffer.address);
    const plan = planOf([{ source: source.address, destination: base, byteLength: 4 * KiB }]);
    const run = (first: number, count: number): void => {
      for (let room = first; room < first + count; room++) {
        const tag = (room & 0xf) | (room << 16);
        pair.inbound.expect(tag >>> 0);
        pair.outbound.write({ tag: tag >>> 0, plan, last: { aux: emptyPlan, totalBytes: 4 * KiB } });
        if (room % 16 === 15) {
          pair.until(() => pair.inboundLog.arrivals.length === 16 && pair.outboundLog.writtenBatches.length === 16);
          pair.inboundLog.arrivals.length = 0;
          pair.outboundLog.writtenBatches.length = 0;
        }
      }
    };
    run(0, 2_000);
    const openBefore = descriptors();
    Bun.gc(true);
    const heapBefore = process.memoryUsage().rss;
    run(2_000, 8_000);
    Bun.gc(true);
    expect(process.memoryUsage().rss - heapBefore).toBeLessThan(64 * 1024 * KiB);
    expect(descriptors()).toBe(openBefore);
    expect(pair.reactor.watches).toBe(watchesBefore);
    pair[Symbol.dispose]();
    expect(pair.reactor.watches).toBe(0);
    target.close();
    source.close();
  });

  test("pairs that come and go leave no descriptor behind", () => {
    const { mapping, buffer } = makePool(64 * KiB);
    const descriptors = (): number => readdirSync("/proc/self/fd").length;
    new TestPair(name, { decode: { buffers: [buffer] } }).connect()[Symbol.dispose]();
    const before = descriptors();
    for (let i = 0; i < 100; i++) new TestPair(name, { decode: { buffers: [buffer] } }).connect()[Symbol.dispose]();
    expect(descriptors()).toBe(before);
    mapping.close();
  });
});
