import {
  copy,
  CopyBatch,
  type CopyKernels,
  type Device,
  type DeviceMemory,
  type Event,
  type Stream,
} from "../../../cuda/index.ts";
import type { CopySide } from "./gpus.ts";
import { foldRows, RunTable, TABLE_BYTES, TABLE_RUNS } from "./run-table.ts";

/** Tables up to this size are read by the kernel where they are, over PCIe; larger ones are copied to the device first. */
const DIRECT_BYTES = 2048;

export interface RunCopierOptions {
  /** Runs shorter than this on average are copied by a kernel, longer ones by the copy engines. */
  readonly kernelBelowBytes: number;
}

/** What one submission uses until it has run. */
export class RunSlot {
  readonly table: RunTable;
  /** The table again, on the device. */
  readonly mirror: DeviceMemory;
  readonly uploaded: Event;

  constructor(device: Device) {
    this.table = new RunTable(device);
    this.mirror = device.allocate(TABLE_BYTES);
    this.uploaded = device.createEvent();
  }

  close(): void {
    this.table.close();
    this.mirror.close();
    this.uploaded.close();
  }
}

/** Submits runs to a stream of its own, by whichever is faster for their size: one kernel, or a batch of copies. */
export class RunCopier {
  readonly device: Device;
  readonly stream: Stream;
  /** Tables go to the device while earlier kernels run. */
  readonly #uploads: Stream;
  readonly #kernels: CopyKernels | undefined;
  readonly #options: RunCopierOptions;
  readonly #batch = new CopyBatch(TABLE_RUNS);

  constructor({ device, kernels }: CopySide, options: RunCopierOptions) {
    this.device = device;
    this.stream = device.createStream();
    this.#uploads = device.createStream();
    this.#kernels = kernels;
    this.#options = options;
  }

  submit({ table, mirror, uploaded }: RunSlot): void {
    const kernels = this.#kernels;
    if (table.runs === 0) return;
    if (!kernels || table.bytes >= table.runs * table.buffers * this.#options.kernelBelowBytes)
      return this.#copy(table);
    const rows = foldRows(table);
    let { address } = table.memory;
    if (table.byteLength > DIRECT_BYTES) {
      address = mirror.address;
      copy(this.#uploads, mirror.slice(0, table.byteLength), table.memory.slice(0, table.byteLength));
      uploaded.record(this.#uploads);
      this.stream.waitFor(uploaded);
      mirror.usedOn(this.stream);
    } else {
      table.memory.usedOn(this.stream);
    }
    if (rows) kernels.copyRows(this.stream, { ...table.at(address), runs: rows.blocks }, rows);
    else kernels.copyRuns(this.stream, table.at(address), table.longest);
  }

  close(): void {
    this.#uploads.close();
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
