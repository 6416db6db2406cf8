import { expect, test } from "bun:test";
import type { WriteBatch } from "../../../lib/transports/transport.ts";
import { PlanCursor, QueuedBatch, RevokedRooms, RoomQueue } from "../../../lib/transports/pairs/index.ts";
import { emptyPlan, planOf, Random } from "./support/plans.ts";

const batch = (tag: number): WriteBatch => ({ tag, plan: emptyPlan });

function drain(queue: RoomQueue): WriteBatch[] {
  const order: WriteBatch[] = [];
  for (let current = queue.current; current; current = queue.current) {
    order.push(current.batch);
    queue.finishCurrent();
  }
  return order;
}

test("rooms take turns, and batches of one room keep their order", () => {
  const queue = new RoomQueue();
  const [a1, a2, a3, b1, b2, c1] = [batch(1), batch(1), batch(1), batch(2), batch(2), batch(3)];
  for (const one of [a1, a2, a3, b1, b2, c1]) queue.push(one);
  expect(queue.size).toBe(3);
  expect(drain(queue)).toEqual([a1, b1, c1, a2, b2, a3]);
  expect([queue.size, queue.current]).toEqual([0, undefined]);
});

test("an unfinished batch gives its turn away and comes back to it", () => {
  const queue = new RoomQueue();
  const [a, b] = [batch(1), batch(2)];
  queue.push(a);
  queue.push(b);
  queue.next();
  expect(queue.current!.batch).toBe(b);
  queue.next();
  expect(queue.current!.batch).toBe(a);
});

test("a room that is taken out leaves the others' turns as they were", () => {
  const random = new Random(3);
  for (let round = 0; round < 300; round++) {
    const queue = new RoomQueue();
    const rooms = 1 + random.below(6);
    const expected = new Map<number, WriteBatch[]>();
    for (let i = random.below(400); i >= 0; i--) {
      const one = batch(random.below(rooms));
      queue.push(one);
      expected.set(one.tag, [...(expected.get(one.tag) ?? []), one]);
    }
    for (let i = random.below(80); i > 0 && queue.current; i--) {
      if (random.below(3) === 0) queue.next();
      else {
        const { tag } = queue.current.batch;
        expect(queue.current.batch).toBe(expected.get(tag)!.shift()!);
        if (expected.get(tag)!.length === 0) expected.delete(tag);
        queue.finishCurrent();
      }
    }
    const tag = random.below(rooms);
    const turn = queue.current?.batch.tag;
    expect(queue.take(tag)).toEqual(expected.get(tag) ?? []);
    expected.delete(tag);
    expect(queue.size).toBe(expected.size);
    if (turn !== undefined && turn !== tag) expect(queue.current!.batch.tag).toBe(turn);
    const rest = round % 2 ? drain(queue) : queue.takeAll();
    for (const [room, batches] of expected) expect(rest.filter((one) => one.tag === room)).toEqual(batches);
    expect([queue.size, queue.current, queue.takeAll()]).toEqual([0, undefined, []]);
  }
});

test("a plan can be walked in steps of any size, refused or not, without losing a byte", () => {
  const random = new Random(11);
  for (let round = 0; round < 100; round++) {
    const pieces = Array.from({ length: random.below(20) }, () => ({
      source: random.below(1e9),
      destination: random.below(1e9),
      byteLength: 1 + random.below(50),
    }));
    const cursor = new PlanCursor(planOf(pieces));
    const got: number[][] = [];
    while (!cursor.done) {
      const limit = 1 + random.below(70);
      let moved = 0;
      let refusals = 0;
      const sink = {
        add(source: number, destination: number, byteLength: number): boolean {
          if (random.below(4) === 0) {
            refusals++;
            return false;
          }
          for (let i = 0; i < byteLength; i++) got.push([source + i, destination + i]);
          moved += byteLength;
          return true;
        },
      };
      expect(cursor.advance(limit, sink)).toBe(moved);
      if (refusals === 0 && !cursor.done) expect(moved).toBe(limit);
    }
    const expected = pieces.flatMap(({ source, destination, byteLength }) =>
      Array.from({ length: byteLength }, (_, i) => [source + i, destination + i]),
    );
    expect(got).toEqual(expected);
  }
});

test("a write that gathers several sources is laid down in their order", () => {
  const plan = {
    writeCount: 2,
    bytes: 60,
    destination: Float64Array.of(1_000, 5_000),
    length: Float64Array.of(30, 30),
    firstSegment: Uint32Array.of(0, 2),
    segmentCount: Uint32Array.of(2, 1),
    segmentCountTotal: 3,
    segmentSource: Float64Array.of(10, 200, 300),
    segmentLength: Float64Array.of(20, 10, 30),
  };
  const got: number[][] = [];
  const cursor = new PlanCursor(plan);
  const sink = { add: (...piece: number[]): boolean => got.push(piece) > 0 };
  while (!cursor.done) cursor.advance(25, sink);
  expect(got).toEqual([
    [10, 1_000, 20],
    [200, 1_020, 5],
    [205, 1_025, 5],
    [300, 5_000, 20],
    [320, 5_020, 10],
  ]);
});

test("a last batch has its aux slot behind its pages", () => {
  const pages = planOf([{ source: 1, destination: 100, byteLength: 8 }]);
  const aux = planOf([{ source: 2, destination: 900, byteLength: 4 }]);
  const queued = new QueuedBatch({ tag: 1, plan: pages, last: { aux, totalBytes: 12 } });
  const got: number[][] = [];
  const sink = { add: (...piece: number[]): boolean => got.push(piece) > 0 };
  expect(queued.advance(9, sink)).toBe(9);
  expect(queued.done).toBe(false);
  expect(queued.advance(9, sink)).toBe(3);
  expect(queued.done).toBe(true);
  expect(got).toEqual([
    [1, 100, 8],
    [2, 900, 1],
    [3, 901, 3],
  ]);
});

test("a revoked room stays so until its slot's next generation is written to", () => {
  const revoked = new RevokedRooms();
  const tag = 0x0003_0007;
  revoked.add(tag);
  expect([revoked.has(tag), revoked.has(0x0003_0008), revoked.has(tag)]).toEqual([true, false, true]);
  expect(revoked.has(0x0004_0007)).toBe(false);
  expect(revoked.has(tag)).toBe(false);
});
