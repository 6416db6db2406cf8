import { PlanError } from "./errors.ts";

/**
 * Writes as a struct of arrays: write i puts `length[i]` bytes at `destination[i]`, taken one after the other from its
 * segments `firstSegment[i]` to `firstSegment[i] + segmentCount[i] - 1`. Addresses and lengths in bytes; addresses are
 * below 2^53. Where every write has one segment, `segmentLength` is the array `length` itself. Read only: the arrays
 * may be shared, and they are ordinary memory of the JavaScript heap, which native code must never be pointed at.
 */
export type WritePlan = {
  readonly writeCount: number;
  readonly bytes: number;
  readonly destination: Float64Array;
  readonly length: Float64Array;
  readonly firstSegment: Uint32Array;
  readonly segmentCount: Uint32Array;
  readonly segmentCountTotal: number;
  readonly segmentSource: Float64Array;
  readonly segmentLength: Float64Array;
  /** The same writes before they were repeated, where every write has one segment: for transports that repeat by themselves. */
  readonly groups?: readonly PlanGroup[] | undefined;
};

/** Writes that are the same in several buffers but for the buffers' bases. */
export type PlanGroup = {
  /** The writes of one buffer, in offsets from its bases; bytes are one buffer's. */
  readonly one: WritePlan;
  /** As many as `destinationBases`: a buffer has the same place in both. */
  readonly sourceBases: Float64Array;
  readonly destinationBases: Float64Array;
};

/** Pieces that are contiguous on both sides, in the order in which they are to be written. */
export type Segments = {
  readonly source: Float64Array;
  readonly destination: Float64Array;
  readonly length: Float64Array;
};

export type WriteLimits = {
  /** Source segments that one write may gather. Default 1. */
  readonly gatherLimit?: number;
  /** Bytes that one write may carry. Default: no limit. */
  readonly maxWriteBytes?: number;
};

/**
 * The fewest writes for `segments`, whose order is kept: a write takes what follows in the destination until it is full.
 * (Any part of a write is itself a legal write, so taking as much as fits is never worse.)
 * @throws PlanError INVALID_OPTION
 */
export function gatherWrites(segments: Segments, limits: WriteLimits): WritePlan {
  const { gatherLimit = 1, maxWriteBytes = Infinity } = limits;
  if (!(gatherLimit >= 1)) throw new PlanError("INVALID_OPTION", "gatherLimit", "1 or more", gatherLimit);
  if (!(maxWriteBytes >= 1)) throw new PlanError("INVALID_OPTION", "maxWriteBytes", "1 or more", maxWriteBytes);
  let bytes = 0;
  let longest = 0;
  for (const length of segments.length) {
    bytes += length;
    if (length > longest) longest = length;
  }
  return gatherLimit < 2 && longest <= maxWriteBytes
    ? singleWrites(segments, bytes)
    : packedWrites(segments, bytes, Math.floor(gatherLimit), Math.floor(maxWriteBytes));
}

function singleWrites(segments: Segments, bytes: number): WritePlan {
  const count = segments.length.length;
  const { firstSegment, segmentCount } = singleSegments(count);
  return {
    writeCount: count,
    bytes,
    destination: segments.destination,
    length: segments.length,
    firstSegment,
    segmentCount,
    segmentCountTotal: count,
    segmentSource: segments.source,
    segmentLength: segments.length,
  };
}

/** One segment for each of `count` writes. */
export function singleSegments(count: number): Pick<WritePlan, "firstSegment" | "segmentCount"> {
  const firstSegment = new Uint32Array(count);
  for (let i = 0; i < count; i++) firstSegment[i] = i;
  return { firstSegment, segmentCount: new Uint32Array(count).fill(1) };
}

function packedWrites(segments: Segments, bytes: number, gatherLimit: number, maxWriteBytes: number): WritePlan {
  const { source, destination, length } = segments;
  // Only a full write cuts a segment in two, and there are at most bytes / maxWriteBytes full writes.
  const most = length.length + Math.floor(bytes / maxWriteBytes);
  const writeDestination = new Float64Array(most);
  const writeLength = new Float64Array(most);
  const firstSegment = new Uint32Array(most);
  const segmentCount = new Uint32Array(most);
  const segmentSource = new Float64Array(most);
  const segmentLength = new Float64Array(most);
  let write = -1;
  let segment = 0;
  let end = -1;
  for (let i = 0; i < length.length; i++) {
    let from = source[i]!;
    let to = destination[i]!;
    let left = length[i]!;
    while (left > 0) {
      if (to !== end || segmentCount[write] === gatherLimit || writeLength[write] === maxWriteBytes) {
        write++;
        writeDestination[write] = to;
        firstSegment[write] = segment;
      }
      const part = Math.min(left, maxWriteBytes - writeLength[write]!);
      segmentSource[segment] = from;
      segmentLength[segment++] = part;
      segmentCount[write]!++;
      writeLength[write]! += part;
      from += part;
      to += part;
      left -= part;
      end = to;
    }
  }
  const writeCount = write + 1;
  return {
    writeCount,
    bytes,
    destination: writeDestination.subarray(0, writeCount),
    length: writeLength.subarray(0, writeCount),
    firstSegment: firstSegment.subarray(0, writeCount),
    segmentCount: segmentCount.subarray(0, writeCount),
    segmentCountTotal: segment,
    segmentSource: segmentSource.subarray(0, segment),
    segmentLength: segmentLength.subarray(0, segment),
  };
}

/** Nothing to write: for a rank that sends no aux slot. */
export const emptyPlan: WritePlan = gatherWrites(
  { source: new Float64Array(0), destination: new Float64Array(0), length: new Float64Array(0) },
  {},
);

/** A plan in one line, for logs: `12 writes, 49152 bytes, 40 segments`. */
export function describePlan(plan: WritePlan): string {
  return `${plan.writeCount} writes, ${plan.bytes} bytes, ${plan.segmentCountTotal} segments`;
}
