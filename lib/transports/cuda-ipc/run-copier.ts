import { copy, CopyBatch, type CopyKernels, type DeviceMemory, type Stream } from "../../../cuda/index.ts";
import { foldRows, type RunTable, TABLE_RUNS } from "./run-table.ts";

/** Tables up to this size are read by the kernel where they are, over PCIe; larger ones are copied to the device first. */
const DIRECT_RUNS = 128;

export interface RunCopierOptions {
  /** Runs shorter than this on average are copied by a kernel, longer ones by the copy engines. */
  readonly kernelBelowBytes: number;
}

/** Submits the runs of a table to a stream, by whichever is faster for their size: one kernel, or a batch of copies. */
export class RunCopier {
  readonly #kernels: CopyKernels | undefined;
  readonly #options: RunCopierOptions;
  readonly #batch = new CopyBatch(TABLE_RUNS);

  constructor(kernels: CopyKernels | undefined, options: RunCopierOptions) {
    this.#kernels = kernels;
    this.#options = options;
  }

  /** @param mirror device memory for the table, not in use by an earlier copy that may still run */
  submit(stream: Stream, table: RunTable, mirror: DeviceMemory): void {
    const kernels = this.#kernels;
    if (!kernels || table.bytes >= table.count * this.#options.kernelBelowBytes)
      return this.#submitBatch(stream, table);
    const { longest } = table;
    const rows = foldRows(table);
    const count = rows?.count ?? table.count;
    let { address } = table.memory;
    if (count > DIRECT_RUNS) {
      address = mirror.address;
      // The unused ends of the columns do not travel.
      const columns = rows ? 2 : 3;
      for (let column = 0; column < columns; column++) {
        const offset = column * TABLE_RUNS * 8;
        copy(stream, mirror.slice(offset, count * 8), table.memory.slice(offset, count * 8));
      }
    } else {
      table.memory.usedOn(stream);
    }
    const [destination, source, length] = [address, address + TABLE_RUNS * 8, address + 2 * TABLE_RUNS * 8];
    if (rows) kernels.copyRows(stream, { destination, source, ...rows });
    else kernels.copyRuns(stream, { destination, source, length, count }, longest);
  }

  #submitBatch(stream: Stream, { destination, source, length, count }: RunTable): void {
    for (let i = 0; i < count; i++) this.#batch.add(destination[i]!, source[i]!, length[i]!);
    this.#batch.submit(stream);
  }
}
