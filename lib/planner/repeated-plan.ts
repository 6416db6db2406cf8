import { type PlanGroup, singleSegments, type WritePlan } from "./write-plan.ts";

type Columns = Pick<
  WritePlan,
  "destination" | "length" | "firstSegment" | "segmentCount" | "segmentSource" | "segmentLength"
>;

/**
 * Each group's plan for one buffer, in offsets, over all its buffers, in addresses. The arrays are made when the first of
 * them is asked for: a transport that repeats the groups by itself never pays for them.
 */
export class RepeatedPlan implements WritePlan {
  readonly writeCount: number;
  readonly bytes: number;
  readonly segmentCountTotal: number;
  readonly #groups: readonly PlanGroup[];
  #columns: Columns | undefined;

  constructor(groups: readonly PlanGroup[]) {
    const sum = (of: (one: WritePlan) => number): number =>
      groups.reduce((total, { one, sourceBases }) => total + sourceBases.length * of(one), 0);
    this.#groups = groups;
    this.writeCount = sum((one) => one.writeCount);
    this.segmentCountTotal = sum((one) => one.segmentCountTotal);
    this.bytes = sum((one) => one.bytes);
  }

  get groups(): readonly PlanGroup[] | undefined {
    return this.segmentCountTotal === this.writeCount ? this.#groups : undefined;
  }

  get destination(): Float64Array {
    return this.#expanded.destination;
  }

  get length(): Float64Array {
    return this.#expanded.length;
  }

  get firstSegment(): Uint32Array {
    return this.#expanded.firstSegment;
  }

  get segmentCount(): Uint32Array {
    return this.#expanded.segmentCount;
  }

  get segmentSource(): Float64Array {
    return this.#expanded.segmentSource;
  }

  get segmentLength(): Float64Array {
    return this.#expanded.segmentLength;
  }

  get #expanded(): Columns {
    return (this.#columns ??= expand(this.#groups, this.writeCount, this.segmentCountTotal));
  }
}

function expand(groups: readonly PlanGroup[], writeCount: number, segmentCountTotal: number): Columns {
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
  for (const { one, sourceBases, destinationBases } of groups) {
    const buffers = sourceBases.length;
    repeatShifted(destination, write, one.destination, destinationBases);
    repeatShifted(segmentSource, segment, one.segmentSource, sourceBases);
    repeat(length, write, one.length, buffers);
    if (!single) {
      repeat(segmentCount, write, one.segmentCount, buffers);
      repeat(segmentLength, segment, one.segmentLength, buffers);
    }
    write += buffers * one.writeCount;
    segment += buffers * one.segmentCountTotal;
  }
  if (!single) runningSum(firstSegment, segmentCount);
  return { destination, length, firstSegment, segmentCount, segmentSource, segmentLength };
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
