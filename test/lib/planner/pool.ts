import type { AuxBuffer, KVBuffer, KVLayout, WritePlan } from "../../../lib/planner/index.ts";
import type { Random } from "./random.ts";

/** What a model's cache looks like, whoever holds which part of it. */
export type Model = {
  readonly attention: "mha" | "mla";
  readonly heads: number;
  readonly pageSize: number;
  /** Bytes of one head of one token, by kind of buffer. */
  readonly rowBytes: Readonly<Record<KVBuffer["kind"], number>>;
  readonly auxBytes: readonly number[];
};

export type Placement = {
  readonly tpRank: number;
  readonly tpSize: number;
  readonly ppRank: number;
  readonly ppSize: number;
  readonly firstLayer: number;
  readonly lastLayer: number;
  readonly pages: number;
  readonly slots: number;
};

/** A rank's memory; addresses in the layout are offsets into it. */
export type Pool = { readonly layout: KVLayout; readonly memory: Uint8Array };

/** The heads that a rank holds, found head by head from the definition of the sharding. */
export function heldHeads(model: Model, tpSize: number, tpRank: number): number[] {
  const all = Array.from({ length: model.heads }, (_, head) => head);
  if (model.attention === "mla") return all;
  return all.filter((head) =>
    tpSize <= model.heads
      ? Math.floor((head * tpSize) / model.heads) === tpRank
      : Math.floor((tpRank * model.heads) / tpSize) === head,
  );
}

/** A pool with its buffers in any order, some wall to wall, some apart, filled with random bytes. */
export function makePool(random: Random, model: Model, place: Placement): Pool {
  const kvHeads = heldHeads(model, place.tpSize, place.tpRank).length;
  let end = random.below(64);
  const take = (length: number): number => {
    const address = end + (random.chance(2) ? 0 : random.below(9));
    end = address + length;
    return address;
  };
  const kinds = model.attention === "mla" ? (["latent"] as const) : (["k", "v"] as const);
  const names = kinds.flatMap((kind) => range(place.firstLayer, place.lastLayer).map((layer) => ({ kind, layer })));
  const buffers = random.shuffled(names).map(({ kind, layer }): KVBuffer => {
    const itemBytes = model.pageSize * kvHeads * model.rowBytes[kind];
    // Some buffers have room behind the last page.
    const length = itemBytes * place.pages + random.below(itemBytes);
    return { kind, layer, itemBytes, length, address: take(length) };
  });
  const aux = model.auxBytes.map((itemBytes): AuxBuffer => {
    const length = itemBytes * place.slots;
    return { itemBytes, length, address: take(length) };
  });
  const memory = Uint8Array.from({ length: end + 16 }, () => random.below(256));
  const { pages: _pages, slots: _slots, ...ranks } = place;
  const layout: KVLayout = {
    pageSize: model.pageSize,
    attention: model.attention,
    totalKvHeads: model.heads,
    kvHeads,
    dtype: "bfloat16",
    ...ranks,
    buffers,
    aux,
  };
  return { layout, memory };
}

/** Where one byte of the cache is in a rank's memory; undefined where the rank does not hold it. */
export function byteAddress(
  model: Model,
  layout: KVLayout,
  at: { kind: string; layer: number; page: number; token: number; head: number; byte: number },
): number | undefined {
  const buffer = layout.buffers.find((one) => one.kind === at.kind && one.layer === at.layer);
  const held = heldHeads(model, layout.tpSize, layout.tpRank);
  const place = held.indexOf(at.head);
  if (buffer === undefined || place < 0) return undefined;
  const rowBytes = model.rowBytes[buffer.kind];
  const row = (at.page * model.pageSize + at.token) * held.length + place;
  return buffer.address + row * rowBytes + at.byte;
}

/** Calls `each` for every byte of every head of every token of a page, for one layer and kind. */
export function forBytesOfPage(
  model: Model,
  kind: KVBuffer["kind"],
  each: (token: number, head: number, byte: number) => void,
): void {
  for (let token = 0; token < model.pageSize; token++) {
    for (let head = 0; head < model.heads; head++) {
      for (let byte = 0; byte < model.rowBytes[kind]; byte++) each(token, head, byte);
    }
  }
}

/**
 * Carries a plan out and checks its own arithmetic on the way.
 * @returns how often each byte of the destination was written
 */
export function applyPlan(plan: WritePlan, source: Uint8Array, destination: Uint8Array): Uint8Array {
  const written = new Uint8Array(destination.length);
  let segment = 0;
  let bytes = 0;
  for (let write = 0; write < plan.writeCount; write++) {
    let to = plan.destination[write]!;
    if (plan.firstSegment[write] !== segment)
      throw new Error(`write ${write} starts at segment ${plan.firstSegment[write]}, not ${segment}`);
    const end = segment + plan.segmentCount[write]!;
    let length = 0;
    for (; segment < end; segment++) {
      const from = plan.segmentSource[segment]!;
      const part = plan.segmentLength[segment]!;
      if (!(part > 0)) throw new Error(`segment ${segment} has ${part} bytes`);
      if (from < 0 || from + part > source.length) throw new Error(`segment ${segment} reads outside the memory`);
      if (to < 0 || to + part > destination.length) throw new Error(`write ${write} writes outside the memory`);
      for (let i = 0; i < part; i++) {
        destination[to + i] = source[from + i]!;
        written[to + i]!++;
      }
      to += part;
      length += part;
    }
    if (length !== plan.length[write])
      throw new Error(`write ${write} has ${plan.length[write]} bytes, its segments ${length}`);
    bytes += length;
  }
  if (segment !== plan.segmentCountTotal) throw new Error(`${segment} segments used of ${plan.segmentCountTotal}`);
  if (bytes !== plan.bytes) throw new Error(`${bytes} bytes written, ${plan.bytes} said`);
  return written;
}

export function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}
