import type { Device, PinnedMemory } from "../../../cuda/index.ts";
import type { GroupRange } from "../pairs/index.ts";

/** Runs and buffers that one turn may have. */
export const TABLE_RUNS = 4096;
export const TABLE_BUFFERS = 1024;
export const TABLE_BYTES = (3 * TABLE_RUNS + 2 * TABLE_BUFFERS) * 8;

/**
 * What one turn copies, in pinned memory, in the form in which plans have it and copy kernels take it: runs in offsets,
 * repeated in buffers at bases, as columns of doubles one behind the other. Filling it from a plan is a few block copies.
 */
export class RunTable {
  readonly memory: PinnedMemory;
  readonly #words: Float64Array;
  /** Words from column to column of the runs. */
  #stride = TABLE_RUNS;
  runs = 0;
  buffers = 1;
  /** Bytes of all runs in all buffers, and of the longest run. */
  bytes = 0;
  longest = 0;

  constructor(device: Device) {
    this.memory = device.allocatePinned(TABLE_BYTES);
    this.#words = new Float64Array(this.memory.buffer);
  }

  get destination(): Float64Array {
    return this.#words.subarray(0, this.runs);
  }

  get source(): Float64Array {
    return this.#words.subarray(this.#stride, this.#stride + this.runs);
  }

  get length(): Float64Array {
    return this.#words.subarray(2 * this.#stride, 2 * this.#stride + this.runs);
  }

  get destinationBases(): Float64Array {
    return this.#words.subarray(3 * this.#stride, 3 * this.#stride + this.buffers);
  }

  get sourceBases(): Float64Array {
    return this.#words.subarray(3 * this.#stride + this.buffers, 3 * this.#stride + 2 * this.buffers);
  }

  /** Bytes from the table's beginning that are in use. */
  get byteLength(): number {
    return (3 * this.#stride + 2 * this.buffers) * 8;
  }

  /** Where the columns are if the table is at `address`. */
  at(address: number) {
    const { runs, buffers } = this;
    const [source, length, bases] = [1, 2, 3].map((column) => address + column * this.#stride * 8) as [
      number,
      number,
      number,
    ];
    return {
      destination: address,
      source,
      length,
      runs,
      destinationBases: bases,
      sourceBases: bases + buffers * 8,
      buffers,
    };
  }

  /** Takes part of a plan. */
  take({ one, from, to, sourceBases, destinationBases }: GroupRange): void {
    this.runs = this.#stride = to - from;
    this.buffers = sourceBases.length;
    this.destination.set(one.destination.subarray(from, to));
    this.source.set(one.segmentSource.subarray(from, to));
    const length = one.length.subarray(from, to);
    this.length.set(length);
    this.destinationBases.set(destinationBases);
    this.sourceBases.set(sourceBases);
    this.bytes = this.longest = 0;
    for (let i = 0; i < length.length; i++) {
      this.bytes += length[i]! * this.buffers;
      if (length[i]! > this.longest) this.longest = length[i]!;
    }
  }

  /** Makes it a table of runs at whole addresses, to be {@link add}ed. */
  clear(): void {
    this.runs = this.bytes = this.longest = 0;
    this.buffers = 1;
    this.#stride = TABLE_RUNS;
    this.#words[3 * TABLE_RUNS] = this.#words[3 * TABLE_RUNS + 1] = 0;
  }

  add(source: number, destination: number, byteLength: number): void {
    const run = this.runs++;
    this.#words[run] = destination;
    this.#words[TABLE_RUNS + run] = source;
    this.#words[2 * TABLE_RUNS + run] = byteLength;
    this.bytes += byteLength;
    if (byteLength > this.longest) this.longest = byteLength;
  }

  close(): void {
    this.memory.close();
  }
}

/** Runs that begin blocks of rows at regular distances. */
export interface RowPattern {
  readonly blocks: number;
  readonly rows: number;
  readonly rowBytes: number;
  readonly destinationPitch: number;
  readonly sourcePitch: number;
}

/**
 * Where the runs are the rows of equal blocks (the heads that two tensor-parallel ranks share of every token of a page),
 * moves the blocks' beginnings to the front of the columns: a sixteenth of them at 16 tokens a page. Undefined, and the
 * columns as they were, where they are not.
 */
export function foldRows(runs: Pick<RunTable, "destination" | "source" | "length">): RowPattern | undefined {
  const { destination, source, length } = runs;
  const count = length.length;
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
  return { blocks, rows, rowBytes, destinationPitch, sourcePitch };
}
