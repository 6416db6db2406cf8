import { PlanError } from "./errors.ts";
import type { KVLayout } from "./layout.ts";
import { pairLayouts } from "./layout-pair.ts";
import { pageRuns } from "./page-runs.ts";
import { pageSegments } from "./page-segments.ts";
import { RepeatedPlan } from "./repeated-plan.ts";
import { gatherWrites, type WriteLimits, type WritePlan } from "./write-plan.ts";

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
  const override = request.destinationBases;
  return new RepeatedPlan(
    pair.groups.map((group) => ({
      one: gatherWrites(pageSegments(group.shape, runs), request),
      sourceBases: group.sourceBases,
      destinationBases: override === undefined ? group.destinationBases : pick(override, group.destinationIndex),
    })),
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
