import { PlanError } from "./errors.ts";
import { headRange } from "./heads.ts";
import { auxCapacity, bufferName, checkLayout, type KVBuffer, type KVLayout, pageCapacity } from "./layout.ts";

/** How one page of a source buffer lies against the same page of a destination buffer; bytes. */
export type PageShape = {
  readonly sourceItem: number;
  readonly destinationItem: number;
  /** The heads that both sides have are all that either has: a page is one piece. Otherwise there is a piece per token. */
  readonly whole: boolean;
  readonly pieceBytes: number;
  readonly tokens: number;
  /** From token to token, and from the page's start to the shared heads of its first token. */
  readonly sourceStride: number;
  readonly sourceSkip: number;
  readonly destinationStride: number;
  readonly destinationSkip: number;
};

/** Buffers whose pages have the same shape: what is planned for one holds for all of them, moved to another base. */
export type BufferGroup = {
  readonly shape: PageShape;
  readonly sourceBases: Float64Array;
  readonly destinationBases: Float64Array;
  /** Where each destination buffer stands in `destination.buffers`. */
  readonly destinationIndex: Uint32Array;
};

/** Two layouts that fit: which bytes of which buffers the source has for the destination. */
export type LayoutPair = {
  readonly groups: readonly BufferGroup[];
  readonly sourcePages: number;
  readonly destinationPages: number;
  readonly sourceSlots: number;
  readonly destinationSlots: number;
};

/** Layouts live as long as a connection and a plan is made per chunk, so the comparison is kept with them. */
const known = new WeakMap<KVLayout, WeakMap<KVLayout, LayoutPair>>();

/**
 * Matches the buffers of two ranks by kind and layer. Layers that only one side has, and heads that only one side has,
 * are left out: other ranks cover them. Layouts must not be changed after the first call.
 * @throws PlanError LAYOUT_MISMATCH, INVALID_LAYOUT or RANK_MISMATCH
 */
export function pairLayouts(source: KVLayout, destination: KVLayout): LayoutPair {
  let ofSource = known.get(source);
  if (ofSource === undefined) known.set(source, (ofSource = new WeakMap()));
  let pair = ofSource.get(destination);
  if (pair === undefined) ofSource.set(destination, (pair = compare(source, destination)));
  return pair;
}

function compare(source: KVLayout, destination: KVLayout): LayoutPair {
  checkLayout(source);
  checkLayout(destination);
  for (const field of ["pageSize", "attention", "totalKvHeads", "dtype"] as const)
    same(field, source[field], destination[field]);
  same("number of aux buffers", source.aux.length, destination.aux.length);
  source.aux.forEach((one, index) =>
    same(`itemBytes of aux buffer ${index}`, one.itemBytes, destination.aux[index]?.itemBytes ?? 0),
  );
  return {
    groups: matchBuffers(source, destination),
    sourcePages: pageCapacity(source),
    destinationPages: pageCapacity(destination),
    sourceSlots: auxCapacity(source),
    destinationSlots: auxCapacity(destination),
  };
}

type Match = { readonly source: KVBuffer; readonly destination: KVBuffer; readonly index: number };

function matchBuffers(source: KVLayout, destination: KVLayout): readonly BufferGroup[] {
  const byName = new Map(source.buffers.map((buffer) => [bufferName(buffer), buffer]));
  const groups = new Map<number, Match[]>();
  destination.buffers.forEach((buffer, index) => {
    const from = byName.get(bufferName(buffer));
    if (from === undefined) return;
    const rowBytes = (layout: KVLayout, one: KVBuffer): number => one.itemBytes / layout.pageSize / layout.kvHeads;
    same(
      `bytes per token and head of the ${bufferName(buffer)}`,
      rowBytes(source, from),
      rowBytes(destination, buffer),
    );
    const group = groups.get(from.itemBytes);
    const match = { source: from, destination: buffer, index };
    if (group === undefined) groups.set(from.itemBytes, [match]);
    else group.push(match);
  });

  const has = headRange(source, source.tpSize, source.tpRank);
  const wants = headRange(destination, destination.tpSize, destination.tpRank);
  const start = Math.max(has.start, wants.start);
  const heads = Math.min(has.start + has.count, wants.start + wants.count) - start;
  if (heads <= 0) return [];
  return Array.from(groups, ([sourceItem, matches]): BufferGroup => {
    const tokens = source.pageSize;
    const headBytes = sourceItem / tokens / source.kvHeads;
    const destinationItem = headBytes * tokens * destination.kvHeads;
    const whole = heads === has.count && heads === wants.count;
    return {
      shape: {
        sourceItem,
        destinationItem,
        whole,
        tokens,
        pieceBytes: whole ? sourceItem : heads * headBytes,
        sourceStride: sourceItem / tokens,
        sourceSkip: (start - has.start) * headBytes,
        destinationStride: destinationItem / tokens,
        destinationSkip: (start - wants.start) * headBytes,
      },
      sourceBases: Float64Array.from(matches, (match) => match.source.address),
      destinationBases: Float64Array.from(matches, (match) => match.destination.address),
      destinationIndex: Uint32Array.from(matches, (match) => match.index),
    };
  });
}

function same(what: string, ofSource: string | number, ofDestination: string | number): void {
  if (ofSource !== ofDestination)
    throw new PlanError("LAYOUT_MISMATCH", what, `the destination's ${ofDestination}`, ofSource);
}
