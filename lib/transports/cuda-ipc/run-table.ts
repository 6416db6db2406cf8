import type { Device, PinnedMemory } from "../../../cuda/index.ts";
import type { WritePlan } from "../../planner/index.ts";

/** Runs that one turn may have: 96 KiB of table. */
export const TABLE_RUNS = 4096;

/**
 * The runs of one turn, in pinned memory, in the form in which plans have them and copy kernels take them: three arrays
 * of doubles. Filling it from a plan is three block copies, whatever the number of runs.
 */
export class RunTable {
  readonly memory: PinnedMemory;
  readonly destination: Float64Array;
  readonly source: Float64Array;
  readonly length: Float64Array;
  count = 0;
  /** Bytes of all runs and of the longest. */
  bytes = 0;
  longest = 0;

  constructor(device: Device) {
    this.memory = device.allocatePinned(3 * TABLE_RUNS * 8);
    const column = (index: number): Float64Array =>
      new Float64Array(this.memory.buffer, index * TABLE_RUNS * 8, TABLE_RUNS);
    this.destination = column(0);
    this.source = column(1);
    this.length = column(2);
  }

  /** Takes writes `[from, to)` of a plan of one segment a write. */
  take(plan: WritePlan, from: number, to: number): void {
    this.count = to - from;
    this.destination.set(plan.destination.subarray(from, to));
    this.source.set(plan.segmentSource.subarray(from, to));
    this.length.set(plan.length.subarray(from, to));
    this.bytes = 0;
    this.longest = 0;
    for (let i = 0; i < this.count; i++) {
      const length = this.length[i]!;
      this.bytes += length;
      if (length > this.longest) this.longest = length;
    }
  }

  clear(): void {
    this.count = this.bytes = this.longest = 0;
  }

  add(source: number, destination: number, byteLength: number): void {
    const i = this.count++;
    this.destination[i] = destination;
    this.source[i] = source;
    this.length[i] = byteLength;
    this.bytes += byteLength;
    if (byteLength > this.longest) this.longest = byteLength;
  }

  close(): void {
    this.memory.close();
  }
}

/** Runs at regular distances: `count` blocks of `rows` rows. */
export interface RowPattern {
  readonly count: number;
  readonly rows: number;
  readonly rowBytes: number;
  readonly destinationPitch: number;
  readonly sourcePitch: number;
}

/**
 * Where the runs are the rows of equal blocks (the heads that two tensor-parallel ranks share of every token of a page),
 * folds the table to the blocks' beginnings: a sixteenth of it at 16 tokens a page. Undefined, and the table as it was,
 * where they are not.
 */
export function foldRows(table: Pick<RunTable, "count" | "destination" | "source" | "length">): RowPattern | undefined {
  const { count, destination, source, length } = table;
  if (count < 4) return undefined;
  const rowBytes = length[0]!;
  const destinationPitch = destination[1]! - destination[0]!;
  const sourcePitch = source[1]! - source[0]!;
  if (destinationPitch < rowBytes || sourcePitch < rowBytes) return undefined;
  const follows = (i: number): boolean => {
    const [down, up] = [destination[i]! - destination[i - 1]!, source[i]! - source[i - 1]!];
    return down === destinationPitch && up === sourcePitch;
  };
  let rows = 1;
  while (rows < count && follows(rows)) rows++;
  if (rows < 2 || count % rows !== 0) return undefined;
  for (let i = 0; i < count; i++) {
    if (length[i] !== rowBytes || (i % rows !== 0 && !follows(i))) return undefined;
  }
  const blocks = count / rows;
  for (let block = 0; block < blocks; block++) {
    destination[block] = destination[block * rows]!;
    source[block] = source[block * rows]!;
  }
  return { count: blocks, rows, rowBytes, destinationPitch, sourcePitch };
}
