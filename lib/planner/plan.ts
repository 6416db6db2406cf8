import { PlanError } from "./errors.ts";
import type { KVLayout } from "./layout.ts";
import { type BufferGroup, pairLayouts } from "./layout-pair.ts";
import { pageRuns } from "./page-runs.ts";
import { pageSegments } from "./page-segments.ts";
import { gatherWrites, singleSegments, type WriteLimits, type WritePlan } from "./write-plan.ts";

type Sides = {
  readonly source: KVLayout;
  readonly destination: KVLayout;
  /**
   * Where the destination's buffers stand, seen from the source, if not at their own addresses: one address per entry of
   * `destination.buffers`, then one per entry of `destination.aux`.
   */
  readonly destinationBases?: Float64Array;
};

export type PagePlanRequest = Sides &
  WriteLimits & {
    /** Page `sourcePages[i]` goes to page `destinationPages[i]`. Source pages may repeat, destination pages may not. */
    readonly sourcePages: Int32Array;
    readonly destinationPages: Int32Array;
  };

/**
 * The fewest writes that carry the pages from one rank to another: the layers and the heads that both ranks hold, for
 * any fragmentation on either side. Writes do not overlap and may be posted in any order.
 * @throws PlanError saying what was expected and what came
 */
export function planPages(request: PagePlanRequest): WritePlan {
  const { source, destination, sourcePages, destinationPages } = request;
  checkBases(request);
  const pair = pairLayouts(source, destination);
  const runs = pageRuns(sourcePages, destinationPages, pair.sourcePages, pair.destinationPages);
  return repeatPerBuffer(
    pair.groups.map((group) => ({ group, one: gatherWrites(pageSegments(group.shape, runs), request) })),
    request.destinationBases,
  );
}

export type AuxPlanRequest = Sides & {
  readonly sourceIndex: number;
  readonly destinationIndex: number;
};

/**
 * One write per aux buffer: slot `sourceIndex` to slot `destinationIndex`.
 * @throws PlanError AUX_OUT_OF_RANGE, or that the layouts do not fit
 */
export function planAux(request: AuxPlanRequest): WritePlan {
  const { source, destination, sourceIndex, destinationIndex, destinationBases } = request;
  checkBases(request);
  const pair = pairLayouts(source, destination);
  checkSlot("source", sourceIndex, pair.sourceSlots);
  checkSlot("destination", destinationIndex, pair.destinationSlots);
  const bases = destinationBases?.subarray(destination.buffers.length);
  return gatherWrites(
    {
      source: Float64Array.from(source.aux, (one) => one.address + sourceIndex * one.itemBytes),
      destination: Float64Array.from(
        destination.aux,
        (one, index) => (bases?.[index] ?? one.address) + destinationIndex * one.itemBytes,
      ),
      length: Float64Array.from(source.aux, (one) => one.itemBytes),
    },
    {},
  );
}

type GroupPlan = { readonly group: BufferGroup; readonly one: WritePlan };

/** Lays each group's plan for one buffer, in offsets, over all its buffers, in addresses. */
function repeatPerBuffer(plans: readonly GroupPlan[], override: Float64Array | undefined): WritePlan {
  let writeCount = 0;
  let segmentCountTotal = 0;
  let bytes = 0;
  for (const { group, one } of plans) {
    const buffers = group.sourceBases.length;
    writeCount += buffers * one.writeCount;
    segmentCountTotal += buffers * one.segmentCountTotal;
    bytes += buffers * one.bytes;
  }
  const single = segmentCountTotal === writeCount;
  const destination = new Float64Array(writeCount);
  const length = new Float64Array(writeCount);
  const segmentSource = new Float64Array(segmentCountTotal);
  const segmentLength = single ? length : new Float64Array(segmentCountTotal);
  const { firstSegment, segmentCount } = single
    ? singleSegments(writeCount)
    : { firstSegment: new Uint32Array(writeCount), segmentCount: new Uint32Array(writeCount) };

  let write = 0;
  let segment = 0;
  for (const { group, one } of plans) {
    const buffers = group.sourceBases.length;
    const bases = override === undefined ? group.destinationBases : pick(override, group.destinationIndex);
    repeatShifted(destination, write, one.destination, bases);
    repeatShifted(segmentSource, segment, one.segmentSource, group.sourceBases);
    repeat(length, write, one.length, buffers);
    if (!single) {
      repeat(segmentCount, write, one.segmentCount, buffers);
      repeat(segmentLength, segment, one.segmentLength, buffers);
    }
    write += buffers * one.writeCount;
    segment += buffers * one.segmentCountTotal;
  }
  if (!single) runningSum(firstSegment, segmentCount);
  return {
    writeCount,
    bytes,
    destination,
    length,
    firstSegment,
    segmentCount,
    segmentCountTotal,
    segmentSource,
    segmentLength,
  };
}

/**
 * From `start` on: `values` once for each of `shifts`, which is added to them. This is where planning spends its time;
 * it takes one type of array only, since a loop that has seen two is a third as fast.
 */
function repeatShifted(to: Float64Array, start: number, values: Float64Array, shifts: Float64Array): void {
  for (let i = 0; i < shifts.length; i++) {
    const shift = shifts[i]!;
    const at = start + i * values.length;
    for (let j = 0; j < values.length; j++) to[at + j] = values[j]! + shift;
  }
}

/** From `start` on: `values`, `times` times; copied in doubling strides, since a call per copy is what would cost. */
function repeat<Column extends Float64Array | Uint32Array>(
  to: Column,
  start: number,
  values: Column,
  times: number,
): void {
  const end = start + times * values.length;
  to.set(values, start);
  for (let at = start + values.length; at < end; at += at - start)
    to.copyWithin(at, start, Math.min(at, start + end - at));
}

/** `to[i]`: the sum of the values before value i. */
function runningSum(to: Uint32Array, values: Uint32Array): void {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    to[i] = sum;
    sum += values[i]!;
  }
}

function pick(values: Float64Array, at: Uint32Array): Float64Array {
  return Float64Array.from(at, (index) => values[index]!);
}

function checkBases({ destination, destinationBases }: Sides): void {
  if (destinationBases === undefined) return;
  const wanted = destination.buffers.length + destination.aux.length;
  if (destinationBases.length === wanted) return;
  throw new PlanError("INVALID_OPTION", "number of destinationBases", wanted, destinationBases.length);
}

function checkSlot(side: string, index: number, capacity: number): void {
  if (Number.isInteger(index) && index >= 0 && index < capacity) return;
  throw new PlanError("AUX_OUT_OF_RANGE", `${side} aux index`, `0 to ${capacity - 1}`, index);
}
