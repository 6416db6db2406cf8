import { expect, test } from "bun:test";
import { describePlan, planAux, type PagePlanRequest, planPages } from "../../../lib/planner/index.ts";
import { PlanCursor } from "../../../lib/transports/pairs/index.ts";
import {
  applyPlan,
  byteAddress,
  forBytesOfPage,
  makePool,
  type Model,
  type Placement,
  type Pool,
  range,
} from "./pool.ts";
import { forSeeds, type Random } from "./random.ts";

/** Tensor-parallel sizes of source and destination that the library has to serve, with the heads they are tried with. */
const shapes = [
  { tp: [1, 1], heads: [1, 2, 3] },
  { tp: [1, 2], heads: [1, 2, 4, 6] },
  { tp: [2, 1], heads: [1, 2, 4, 6] },
  { tp: [4, 2], heads: [2, 4, 8] },
  { tp: [2, 4], heads: [2, 4, 8] },
  { tp: [2, 2], heads: [2, 4] },
] as const;

type Case = {
  readonly model: Model;
  readonly source: Pool;
  readonly destination: Pool;
  readonly request: PagePlanRequest;
};

function randomCase(random: Random, attention: "mha" | "mla", limits: Partial<PagePlanRequest> = {}): Case {
  const shape = random.pick(shapes);
  const [sourceTp, destinationTp] = shape.tp;
  const keyBytes = random.between(1, 5);
  const model: Model = {
    attention,
    heads: attention === "mla" ? 1 : random.pick(shape.heads),
    pageSize: random.pick([1, 2, 3, 4]),
    rowBytes: { k: keyBytes, v: random.chance(3) ? random.between(1, 5) : keyBytes, latent: random.between(1, 9) },
    auxBytes: range(0, random.below(4)).map(() => random.between(1, 12)),
  };
  const source = makePool(random, model, place(random, sourceTp));
  const destination = makePool(random, model, place(random, destinationTp));
  const [sourcePages, destinationPages] = pageLists(random, source, destination);
  const request: PagePlanRequest = {
    source: source.layout,
    destination: destination.layout,
    sourcePages,
    destinationPages,
    ...limits,
  };
  return { model, source, destination, request: random.chance(3) ? rebased(request) : request };
}

function place(random: Random, tpSize: number): Placement {
  const firstLayer = random.below(2);
  return {
    tpSize,
    tpRank: random.below(tpSize),
    ppRank: 0,
    ppSize: 1,
    firstLayer,
    lastLayer: firstLayer + random.between(1, 3),
    pages: random.between(1, 14),
    slots: random.between(1, 3),
  };
}

/** Page lists as allocators give them: scattered, in runs, upwards or downwards. */
function pageLists(random: Random, source: Pool, destination: Pool): [Int32Array, Int32Array] {
  const capacity = ({ layout }: Pool): number =>
    Math.min(...layout.buffers.map((one) => Math.floor(one.length / one.itemBytes)));
  const have = capacity(source);
  const count = random.chance(20) ? 0 : random.between(1, Math.min(have, capacity(destination)));
  const pages = (total: number): number[] => {
    const style = random.pick(["scattered", "up", "down", "cut"]);
    if (style === "scattered") return random.shuffled(range(0, total)).slice(0, count);
    const start = random.below(total - count + 1);
    const row = range(start, start + count);
    if (style === "up") return row;
    if (style === "down") return row.toReversed();
    const at = random.below(count + 1);
    return [...row.slice(at), ...row.slice(0, at)];
  };
  // A prefix shared between requests may be sent from the same page to several places.
  const from = random.chance(6) ? range(0, count).map(() => random.below(have)) : pages(have);
  return [Int32Array.from(from), Int32Array.from(pages(capacity(destination)))];
}

/** The same transfer, its destination announced at addresses that mean nothing here and given again as bases. */
function rebased(request: PagePlanRequest): PagePlanRequest {
  const { buffers, aux } = request.destination;
  const far = <Buffer extends { readonly address: number }>(one: Buffer): Buffer => ({
    ...one,
    address: one.address + 2 ** 46,
  });
  return {
    ...request,
    destination: { ...request.destination, buffers: buffers.map(far), aux: aux.map(far) },
    destinationBases: Float64Array.from([...buffers, ...aux], (one) => one.address),
  };
}

type Expected = {
  readonly memory: Uint8Array;
  /** For each byte of the destination that is to be written: its source, and the buffer it is in. */
  readonly from: Map<number, { readonly source: number; readonly buffer: string }>;
};

/** What must be in the destination afterwards, found byte by byte from what each byte of a cache means. */
function oracle({ model, source, destination, request }: Case): Expected {
  const memory = destination.memory.slice();
  const from: Expected["from"] = new Map();
  for (const { kind, layer } of destination.layout.buffers) {
    request.destinationPages.forEach((page, i) => {
      forBytesOfPage(model, kind, (token, head, byte) => {
        const at = { kind, layer, token, head, byte };
        const read = byteAddress(model, source.layout, { ...at, page: request.sourcePages[i]! });
        const write = byteAddress(model, destination.layout, { ...at, page });
        if (read === undefined || write === undefined) return;
        memory[write] = source.memory[read]!;
        from.set(write, { source: read, buffer: `${kind}${layer}` });
      });
    });
  }
  return { memory, from };
}

/** The destination's bytes in stretches without a gap, each as its source addresses. */
function stretches(from: Expected["from"]): number[][] {
  const result: number[][] = [];
  let before: number | undefined;
  for (const at of Array.from(from.keys()).sort((a, b) => a - b)) {
    const { source, buffer } = from.get(at)!;
    if (before !== undefined && before === at - 1 && from.get(before)!.buffer === buffer) result.at(-1)!.push(source);
    else result.push([source]);
    before = at;
  }
  return result;
}

/** The fewest writes for one stretch, by trying every last write for every prefix. */
function fewestWrites(sources: readonly number[], gatherLimit: number, maxWriteBytes: number): number {
  const best = [0];
  for (let end = 1; end <= sources.length; end++) {
    let least = Infinity;
    let segments = 1;
    for (let start = end - 1; start >= 0; start--) {
      if (start < end - 1 && sources[start]! + 1 !== sources[start + 1]!) segments++;
      if (segments <= gatherLimit && end - start <= maxWriteBytes) least = Math.min(least, best[start]! + 1);
    }
    best.push(least);
  }
  return best.at(-1)!;
}

/** @returns whether anything had to be moved */
function checkCase(it: Case): boolean {
  const { source, destination, request } = it;
  const expected = oracle(it);
  const plan = planPages(request);
  const memory = destination.memory.slice();
  const written = applyPlan(plan, source.memory, memory);
  expect(Buffer.compare(memory, expected.memory)).toBe(0);
  expect(written.every((times, at) => times === (expected.from.has(at) ? 1 : 0))).toBe(true);
  const { gatherLimit = 1, maxWriteBytes = Infinity } = request;
  expect(plan.segmentCount.every((count) => count <= gatherLimit)).toBe(true);
  expect(plan.length.every((bytes) => bytes <= maxWriteBytes)).toBe(true);
  const fewest = stretches(expected.from).reduce((sum, one) => sum + fewestWrites(one, gatherLimit, maxWriteBytes), 0);
  expect(plan.writeCount).toBe(fewest);
  return fewest > 0;
}

for (const attention of ["mha", "mla"] as const) {
  test(`${attention}: every byte lands where its meaning says, no other is touched, in the fewest writes`, () => {
    let moved = 0;
    forSeeds(1, 2000, (random) => {
      if (checkCase(randomCase(random, attention))) moved++;
    });
    expect(moved).toBeGreaterThan(900);
  });

  for (const gatherLimit of [4, 30]) {
    test(`${attention}: the same where a write gathers ${gatherLimit} segments`, () => {
      forSeeds(10_000 * gatherLimit, 700, (random) => {
        checkCase(randomCase(random, attention, { gatherLimit }));
      });
    });
  }

  test(`${attention}: the same where writes are limited in bytes`, () => {
    forSeeds(500_000, 700, (random) => {
      const limits = { gatherLimit: random.pick([1, 4, 30]), maxWriteBytes: random.between(1, 60) };
      checkCase(randomCase(random, attention, limits));
    });
  });
}

test("aux slots: one write for each buffer, slot to slot", () => {
  forSeeds(900_000, 500, (random) => {
    const { source, destination, request } = randomCase(random, random.pick(["mha", "mla"]));
    const slots = ({ layout }: Pool): number => (layout.aux[0] ? layout.aux[0].length / layout.aux[0].itemBytes : 1);
    const sourceIndex = random.below(slots(source));
    const destinationIndex = random.below(slots(destination));
    const expected = destination.memory.slice();
    source.layout.aux.forEach((from, i) => {
      const to = destination.layout.aux[i]!;
      for (let byte = 0; byte < from.itemBytes; byte++) {
        expected[to.address + destinationIndex * to.itemBytes + byte] =
          source.memory[from.address + sourceIndex * from.itemBytes + byte]!;
      }
    });
    const plan = planAux({ ...request, sourceIndex, destinationIndex });
    const memory = destination.memory.slice();
    applyPlan(plan, source.memory, memory);
    expect(Buffer.compare(memory, expected)).toBe(0);
    expect(plan.writeCount).toBe(source.layout.aux.length);
  });
});

test("where nothing is gathered, segments are the writes and share their array", () => {
  forSeeds(950_000, 100, (random) => {
    const plan = planPages(randomCase(random, "mha").request);
    expect(plan.segmentLength).toBe(plan.length);
    expect(plan.segmentCountTotal).toBe(plan.writeCount);
  });
});

test("a plan describes itself in one line", () => {
  forSeeds(7, 1, (random) => {
    const { request } = randomCase(random, "mla", { maxWriteBytes: 1 });
    const plan = planPages(request);
    expect(describePlan(plan)).toBe(`${plan.bytes} writes, ${plan.bytes} bytes, ${plan.bytes} segments`);
  });
});

type Write = readonly [destination: number, source: number, length: number];

const inOrder = (writes: readonly Write[]): Write[] => writes.toSorted(([a], [b]) => a - b);

test("groups, repeated in every buffer, are the writes of the plan, whatever the turns they are taken in", () => {
  let round = 0;
  forSeeds(70_000, 200, (random) => {
    round++;
    const plan = planPages(randomCase(random, round % 2 ? "mha" : "mla", { gatherLimit: 1 }).request);
    const cursor = new PlanCursor(plan);
    const taken: Write[] = [];
    const maxBytes = [1, 4096, 1 << 20][round % 3]!;
    for (;;) {
      const range = cursor.takeGroup(1 + (round % 7), maxBytes);
      if (range === undefined) break;
      const { one, from, to, destinationBases, sourceBases } = range;
      expect(to).toBeGreaterThan(from);
      for (let buffer = 0; buffer < sourceBases.length; buffer++) {
        for (let i = from; i < to; i++) {
          taken.push([
            destinationBases[buffer]! + one.destination[i]!,
            sourceBases[buffer]! + one.segmentSource[i]!,
            one.length[i]!,
          ]);
        }
      }
    }
    expect(cursor.done).toBe(true);
    const planned = Array.from({ length: plan.writeCount }, (_, i): Write => {
      return [plan.destination[i]!, plan.segmentSource[i]!, plan.length[i]!];
    });
    expect(inOrder(taken)).toEqual(inOrder(planned));
  });
});

test("a plan that gathers has no groups: its writes have several segments", () => {
  forSeeds(80_000, 50, (random) => {
    const plan = planPages(randomCase(random, "mha", { gatherLimit: 8 }).request);
    expect(plan.groups === undefined).toBe(plan.segmentCountTotal !== plan.writeCount);
  });
});
