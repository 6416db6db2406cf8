import type { PlanGroup, WritePlan } from "../../planner/index.ts";

/** Writes `from` to `to - 1` of a group, in each of its buffers. */
export interface GroupRange extends PlanGroup {
  readonly from: number;
  readonly to: number;
}

const noBase = new Float64Array(1);

/** Takes contiguous pieces of a plan, in order. False: no room now, the piece was not taken. */
export interface SegmentSink {
  add(source: number, destination: number, byteLength: number): boolean;
}

/** A place in a plan, down to the byte. */
export class PlanCursor {
  readonly #plan: WritePlan;
  #write = 0;
  #group = 0;
  /** Within the write; for {@link takeGroup}, the write within its group. */
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

  /** Bytes left of the piece that comes next; 0 at the end. */
  get pieceLeft(): number {
    if (this.done) return 0;
    const { firstSegment, segmentLength } = this.#plan;
    return segmentLength[firstSegment[this.#write]! + this.#segment]! - this.#taken;
  }

  /**
   * Moves over whole writes of one group in all its buffers: as many as fit, but at least one, for whoever repeats groups by
   * itself. Only for plans of one segment a write, and not together with {@link advance}. Undefined at the end.
   */
  takeGroup(maxWrites: number, maxBytes: number): GroupRange | undefined {
    const groups = this.#plan.groups ?? [{ one: this.#plan, sourceBases: noBase, destinationBases: noBase }];
    while (this.#group < groups.length && this.#segment >= groups[this.#group]!.one.writeCount) {
      this.#group++;
      this.#segment = 0;
    }
    const group = groups[this.#group];
    if (group === undefined) return undefined;
    const { length, writeCount } = group.one;
    const buffers = group.sourceBases.length;
    const from = this.#segment;
    const end = Math.min(writeCount, from + maxWrites);
    let to = from;
    for (let bytes = 0; to < end && (to === from || bytes + length[to]! * buffers <= maxBytes); to++) {
      bytes += length[to]! * buffers;
    }
    this.#segment = to;
    this.#write += (to - from) * buffers;
    return { ...group, from, to };
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
