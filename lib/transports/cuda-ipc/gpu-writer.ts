import { copy, type Device, PeerMemory, unsafeSpan } from "../../../cuda/index.ts";
import { unsafeCopy } from "../../../ffi/libc/index.ts";
import { type Gpus, type RunCopierOptions, TABLE_BUFFERS } from "../gpu/index.ts";
import { type GrantedRegion, MappedRegions, type PageWriter } from "../host/index.ts";
import type { QueuedBatch } from "../pairs/index.ts";
import type { Copier } from "./copier.ts";
import { PeerCopier } from "./peer-copier.ts";
import { StagedCopier } from "./staged-copier.ts";

export interface GpuWriterOptions extends RunCopierOptions {
  /** `peer`: only where the GPUs reach each other; `staged`: through the host even so. */
  readonly route: "auto" | "peer" | "staged";
}

/** The receiver's pool, mapped by its IPC handles, each allocation once; its aux slots, mapped as shared memory. */
export class GpuWriter implements PageWriter {
  readonly destinationBases: Float64Array;
  /** Which way pages go, for logs. */
  readonly how: string;
  readonly #device: Device;
  readonly #scratch: number;
  readonly #allocations = new Map<string, PeerMemory>();
  readonly #aux: MappedRegions;
  readonly #copier: Copier;

  /**
   * @param device where the sender's pages are
   * @throws where the receiver's GPU is not seen from this process, or its memory cannot be opened
   */
  constructor(gpus: Gpus, device: Device, regions: readonly GrantedRegion[], options: GpuWriterOptions) {
    this.#device = device;
    if (regions.length > TABLE_BUFFERS) throw new Error(`more than ${TABLE_BUFFERS} buffers: ${regions.length}`);
    const target = targetDevice(gpus, regions);
    const reaches = device.canAccess(target);
    if (!reaches && options.route === "peer") throw new Error(`${pair(device, target)} do not reach each other`);
    const staged = options.route === "staged" || !reaches;
    this.how = staged
      ? `${pair(device, target)} ${reaches ? "as was asked for" : "do not reach each other"}: staged through pinned host memory`
      : device === target
        ? `both sides' pages are on GPU ${device.ordinal}`
        : `${pair(device, target)} reach each other`;
    // Where the GPUs do not reach each other, the pool is mapped for its own, which this process drives as well.
    const mapper = staged ? target : device;
    if (!staged) device.enableAccess(target);
    this.#aux = new MappedRegions(regions.filter((region) => !region.device));
    try {
      let aux = 0;
      const bases = regions.map((region) =>
        region.device ? this.#open(mapper, region.device) + region.device.offset : this.#aux.bases[aux++]!,
      );
      this.#scratch = bases[0]!;
      this.destinationBases = Float64Array.from(bases.slice(1));
      const [source, destination] = [gpus.side(device), gpus.side(target)];
      this.#copier = staged ? new StagedCopier(source, destination, options) : new PeerCopier(source, target, options);
    } catch (error) {
      this.#unmap();
      throw error;
    }
  }

  get repeatsGroups(): boolean {
    return this.#copier.repeatsGroups;
  }

  get ready(): boolean {
    return this.#copier.ready;
  }

  get begun(): number {
    return this.#copier.begun;
  }

  get passed(): number {
    return this.#copier.passed;
  }

  writeScratch(source: number, byteLength: number): void {
    using stream = this.#device.createStream();
    using pinned = this.#device.allocatePinned(byteLength);
    unsafeCopy(pinned.address, source, byteLength);
    copy(stream, unsafeSpan(this.#scratch, byteLength), pinned);
    stream.synchronize();
  }

  writePages(batch: QueuedBatch): number {
    return this.#copier.begin(batch);
  }

  writeAux(batch: QueuedBatch): void {
    batch.advance(Infinity, {
      add(source, destination, byteLength) {
        unsafeCopy(destination, source, byteLength);
        return true;
      },
    });
  }

  prepare(): boolean {
    return this.#aux.prepare();
  }

  close(): void {
    this.#copier.close();
    this.#unmap();
  }

  #open(mapper: Device, { handle, allocationBytes }: NonNullable<GrantedRegion["device"]>): number {
    let memory = this.#allocations.get(handle);
    if (memory === undefined) {
      memory = PeerMemory.open(mapper, { handle: Uint8Array.fromHex(handle), byteLength: allocationBytes });
      this.#allocations.set(handle, memory);
    }
    return memory.address;
  }

  #unmap(): void {
    for (const memory of this.#allocations.values()) memory.close();
    this.#aux.close();
  }
}

function targetDevice(gpus: Gpus, regions: readonly GrantedRegion[]): Device {
  const buses = new Set(regions.flatMap(({ device }) => (device ? [device.pciBusId] : [])));
  const [bus] = buses;
  if (bus === undefined || buses.size > 1)
    throw new Error(`the receiver's pages are on ${buses.size} GPUs, not on one`);
  return gpus.runtime.deviceAt(bus);
}

function pair(one: Device, other: Device): string {
  return `GPU ${one.ordinal} and GPU ${other.ordinal}`;
}
