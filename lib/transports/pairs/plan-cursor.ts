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

  /**
   * Moves over whole writes, as many as fit but at least one, for whoever takes a plan's arrays as they are. Only for plans
   * of one segment a write, and not after {@link advance} has cut one.
   */
  takeWrites(maxWrites: number, maxBytes: number): { readonly from: number; readonly to: number } {
    const { length, writeCount } = this.#plan;
    const from = this.#write;
    const end = Math.min(writeCount, from + maxWrites);
    let to = from;
    for (let bytes = 0; to < end && (to === from || bytes + length[to]! <= maxBytes); to++) bytes += length[to]!;
    this.#write = to;
    return { from, to };
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
