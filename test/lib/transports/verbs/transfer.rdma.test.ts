import { expect, test } from "bun:test";
import { describeRdma } from "../../../rxe/describe.ts";
import { makePool } from "../support/context.ts";
import { emptyPlan, type Piece, planOf, Random } from "../support/plans.ts";
import { VerbsPair } from "./pair.ts";

const KiB = 1024;

function fillWords(bytes: Uint8Array, seed: number): void {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + seed, 2654435761);
}

describeRdma("the data path of verbs", () => {
  test.each([
    { queuePairs: 1 },
    { queuePairs: 3 },
    { queuePairs: 2, windows: true },
    {
      queuePairs: 2,
      gatherLimit: 1,
      maxWriteBytes: 4 * KiB,
      windowBytes: 64 * KiB,
      sendRequests: 32,
      receiveRequests: 8,
    },
  ])("random layouts of pages land byte for byte, and no other byte changes: %p", (options) => {
    const random = new Random(7);
    const bytes = 1024 * KiB;
    const { mapping: source, buffer: from } = makePool(bytes);
    const { mapping: target, buffer: to } = makePool(bytes);
    fillWords(source.bytes, 1);
    using pair = new VerbsPair({ source: [from], target: [to], options }).connect();
    for (let round = 0; round < 8; round++) {
      const unit = [1, 64, 1 * KiB, 4 * KiB, 16 * KiB, 100 * KiB][round % 6]!;
      const slots = Math.floor(bytes / unit);
      const count = Math.min(slots, 1 + random.below(1_000));
      const sources = random.shuffled(slots);
      const targets = random.shuffled(slots);
      target.bytes.fill(0);
      const expected = new Uint8Array(bytes);
      const pieces: Piece[] = [];
      for (let i = 0; i < count; i++) {
        const byteLength = 1 + random.below(unit);
        const at = { source: sources[i]! * unit, destination: targets[i]! * unit };
        pieces.push({
          source: source.address + at.source,
          destination: target.address + at.destination,
          byteLength,
        });
        expected.set(source.bytes.subarray(at.source, at.source + byteLength), at.destination);
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
      pair.until(() => pair.inboundLog.arrivals.length === round + 1);
      expect(Buffer.compare(target.bytes, expected)).toBe(0);
      expect(pair.inboundLog.arrivals.at(-1)).toEqual({ tag, totalBytes });
      pair.until(() => pair.outboundLog.writtenBatches.length === 2 * (round + 1));
    }
    target.close();
    source.close();
  });

  test("a room of nothing at all still arrives", () => {
    const { mapping, buffer } = makePool(4 * KiB);
    using pair = new VerbsPair({ source: [buffer], target: [buffer] }).connect();
    pair.inbound.expect(5);
    pair.outbound.write({ tag: 5, plan: emptyPlan, last: { aux: emptyPlan, totalBytes: 0 } });
    pair.until(() => pair.inboundLog.arrivals.length === 1 && pair.outboundLog.writtenBatches.length === 1);
    expect(pair.inboundLog.arrivals).toEqual([{ tag: 5, totalBytes: 0 }]);
    mapping.close();
  });

  test("messages reach the sender by the pair's own way, in order, more than it takes ahead; too long ones are refused", () => {
    const { mapping, buffer } = makePool(4 * KiB);
    using pair = new VerbsPair({ source: [buffer], target: [buffer], options: { receiveRequests: 8 } }).connect();
    const random = new Random(3);
    const messages = Array.from({ length: 40 }, (_, index) => [
      Uint8Array.of(index),
      Uint8Array.from({ length: random.below(900) }, () => random.below(256)),
      new Uint8Array(0),
    ]);
    for (const frames of messages) expect(pair.inbound.carry!(frames)).toBe(true);
    expect(pair.inbound.carry!([new Uint8Array(2 * KiB)])).toBe(false);
    pair.until(() => pair.outboundLog.messages.length === messages.length);
    expect(pair.outboundLog.messages).toEqual(messages);
    mapping.close();
  });

  test("where a pair has several lanes, of which one may fail alone, messages go by the registry", () => {
    const { mapping, buffer } = makePool(4 * KiB);
    using pair = new VerbsPair({ source: [buffer], target: [buffer], options: { queuePairs: 2 } }).connect();
    expect(pair.inbound.carry!([Uint8Array.of(1)])).toBe(false);
    mapping.close();
  });
});
