import type { WritePlan } from "../../planner/index.ts";

/** Takes contiguous pieces of a plan, in order. False: no room now, the piece was not taken. */
export interface SegmentSink {
  add(source: number, destination: number, byteLength: number): boolean;
}

/** A place in a plan, down to the byte. */
export class PlanCursor {
  readonly #plan: WritePlan;
  #write = 0;
  /** Within the write. */
  #segment = 0;
  /** Bytes gone of the segment, and of the write. */
  #taken = 0;
  #placed = 0;

  constructor(plan: WritePlan) {
    this.#plan = plan;
  }

  get done(): boolean {
    return this.#write >= this.#plan.writeCount;
  }

  /** Gives up to `maxBytes` to `sink`, less where it is full; how many it took. */
  advance(maxBytes: number, sink: SegmentSink): number {
    const { writeCount, destination, firstSegment, segmentCount, segmentSource, segmentLength } = this.#plan;
    let write = this.#write;
    let segment = this.#segment;
    let taken = this.#taken;
    let placed = this.#placed;
    let moved = 0;
    while (write < writeCount && moved < maxBytes) {
      const index = firstSegment[write]! + segment;
      const left = segmentLength[index]! - taken;
      const part = left < maxBytes - moved ? left : maxBytes - moved;
      if (!sink.add(segmentSource[index]! + taken, destination[write]! + placed, part)) break;
      moved += part;
      placed += part;
      taken += part;
      if (part < left) break;
      taken = 0;
      if (++segment < segmentCount[write]!) continue;
      segment = 0;
      placed = 0;
      write++;
    }
    this.#write = write;
    this.#segment = segment;
    this.#taken = taken;
    this.#placed = placed;
    return moved;
  }
}
