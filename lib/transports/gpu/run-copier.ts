import { copy, CopyBatch, type CopyKernels, type Device, type DeviceMemory, type Stream } from "../../../cuda/index.ts";
import type { CopySide } from "./gpus.ts";
import { foldRows, RunTable, TABLE_BYTES } from "./run-table.ts";

/** The driver takes microseconds for each copy of a batch, during which the GPU should have the batch before. */
const COPIES_PER_BATCH = 16;

/** On one H200 the kernel was faster at every length up to 4 MiB, over NVLink up to 1 MiB (`bun run bench:cuda`). */
const KERNEL_BELOW_BYTES = { near: 16 * 1024 * 1024, far: 2 * 1024 * 1024 } as const;

export interface RunCopierOptions {
  /** Runs shorter than this on average are copied by a kernel, longer ones by the copy engines; 0: never by a kernel. */
  readonly kernelBelowBytes?: number | undefined;
}

/** What one submission uses until it has run. */
export class RunSlot {
  readonly table: RunTable;
  /** The table again, on the device. */
  readonly mirror: DeviceMemory;

  constructor(device: Device) {
    this.table = new RunTable(device);
    this.mirror = device.allocate(TABLE_BYTES);
  }

  close(): void {
    this.table.close();
    this.mirror.close();
  }
}

/** Submits runs to a stream of its own, by whichever is faster for their size: one kernel, or a batch of copies. */
export class RunCopier {
  readonly device: Device;
  readonly stream: Stream;
  readonly #kernels: CopyKernels | undefined;
  readonly #kernelBelowBytes: number;
  readonly #far: boolean;
  readonly #batch = new CopyBatch(COPIES_PER_BATCH);

  /** @param far one side of the copies is not this device's memory */
  constructor({ device, kernels }: CopySide, { kernelBelowBytes }: RunCopierOptions, far: boolean) {
    this.device = device;
    this.stream = device.createStream();
    this.#kernels = kernels;
    this.#kernelBelowBytes = kernelBelowBytes ?? KERNEL_BELOW_BYTES[far ? "far" : "near"];
    this.#far = far;
  }

  submit({ table, mirror }: RunSlot): void {
    const kernels = this.#kernels;
    if (table.runs === 0) return;
    if (!kernels || table.bytes >= table.runs * table.buffers * this.#kernelBelowBytes) return this.#copy(table);
    const rows = foldRows(table);
    let { address } = table.memory;
    // A table of one run is read where it is, over PCIe, for less than its copy would take.
    if (table.runs > 1) {
      address = mirror.address;
      copy(this.stream, mirror.slice(0, table.byteLength), table.memory.slice(0, table.byteLength));
    } else {
      table.memory.usedOn(this.stream);
    }
    if (rows) kernels.copyRows(this.stream, { ...table.at(address), runs: rows.blocks }, rows, this.#far);
    else kernels.copyRuns(this.stream, table.at(address), { longest: table.longest, far: this.#far });
  }

  close(): void {
    this.stream.close();
  }

  #copy({ destination, source, length, destinationBases, sourceBases, runs, buffers }: RunTable): void {
    for (let buffer = 0; buffer < buffers; buffer++) {
      const [to, from] = [destinationBases[buffer]!, sourceBases[buffer]!];
      for (let run = 0; run < runs; run++) {
        if (this.#batch.full) this.#batch.submit(this.stream);
        this.#batch.add(to + destination[run]!, from + source[run]!, length[run]!);
      }
    }
    this.#batch.submit(this.stream);
  }
}
