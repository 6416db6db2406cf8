import { type Device, type PinnedMemory, type RunTable as DeviceTable, tilesOf } from "../../../cuda/index.ts";
import type { GroupRange } from "../pairs/index.ts";

/** Runs and buffers that one turn may have. */
export const TABLE_RUNS = 4096;
export const TABLE_BUFFERS = 1024;
/** Columns of the runs; the last has one entry more than there are runs. */
const COLUMNS = 4;
const LONGEST = TABLE_RUNS + 1;
export const TABLE_BYTES = (COLUMNS * LONGEST + 2 * TABLE_BUFFERS) * 8;

/**
 * What one turn copies, in pinned memory, in the form in which plans have it and copy kernels take it: runs in offsets,
 * repeated in buffers at bases, as columns of doubles one behind the other. Filling it from a plan is a few block copies.
 */
export class RunTable {
  readonly memory: PinnedMemory;
  readonly #words: Float64Array;
  /** Words from column to column of the runs. */
  #stride = LONGEST;
  runs = 0;
  buffers = 1;
  /** Of all runs in one buffer. */
  tiles = 0;
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
    return this.#words.subarray(COLUMNS * this.#stride, COLUMNS * this.#stride + this.buffers);
  }

  get sourceBases(): Float64Array {
    return this.#words.subarray(COLUMNS * this.#stride + this.buffers, COLUMNS * this.#stride + 2 * this.buffers);
  }

  /** Bytes from the table's beginning that are in use. */
  get byteLength(): number {
    return (COLUMNS * this.#stride + 2 * this.buffers) * 8;
  }

  /** Where the columns are if the table is at `address`. */
  at(address: number): DeviceTable {
    const { runs, buffers, tiles } = this;
    const column = (index: number): number => address + index * this.#stride * 8;
    const bases = column(COLUMNS);
    return {
      destination: address,
      source: column(1),
      length: column(2),
      firstTile: column(3),
      runs,
      tiles,
      destinationBases: bases,
      sourceBases: bases + buffers * 8,
      buffers,
    };
  }

  /** Takes part of a plan. */
  take({ one, from, to, sourceBases, destinationBases }: GroupRange): void {
    this.runs = to - from;
    this.#stride = this.runs + 1;
    this.buffers = sourceBases.length;
    this.destination.set(one.destination.subarray(from, to));
    this.source.set(one.segmentSource.subarray(from, to));
    const length = one.length.subarray(from, to);
    this.length.set(length);
    this.destinationBases.set(destinationBases);
    this.sourceBases.set(sourceBases);
    this.bytes = this.longest = this.tiles = 0;
    for (let run = 0; run < length.length; run++) this.#count(run, length[run]!);
    this.bytes *= this.buffers;
  }

  /** Makes it a table of runs at whole addresses, to be {@link add}ed. */
  clear(): void {
    this.runs = this.bytes = this.longest = this.tiles = 0;
    this.buffers = 1;
    this.#stride = LONGEST;
    this.destinationBases[0] = this.sourceBases[0] = 0;
  }

  add(source: number, destination: number, byteLength: number): void {
    const run = this.runs++;
    this.#words[run] = destination;
    this.#words[LONGEST + run] = source;
    this.#words[2 * LONGEST + run] = byteLength;
    this.#count(run, byteLength);
  }

  #count(run: number, byteLength: number): void {
    const first = 3 * this.#stride + run;
    this.#words[first] = this.tiles;
    this.#words[first + 1] = this.tiles += tilesOf(byteLength);
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
