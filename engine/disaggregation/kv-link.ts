import { Mapping } from "../../ffi/libc/index.ts";
import { AuxSlots, type KVArgs, KVManager, KVTransferError, KVUserError } from "../../lib/index.ts";
import { OptionError } from "../errors.ts";
import type { KvPool } from "../kvcache/index.ts";
import type { DisaggregationOptions } from "./options.ts";
import { SlotAllocator } from "./slots.ts";

/** Reading the library takes an emulated machine, or one that is busy with loading models, many seconds. */
const START_MS = 60_000;

/** The engine's end of the KV transfer: its manager, and the aux slots that go with the pages. */
export class KvLink {
  readonly manager: KVManager;
  readonly pool: KvPool;
  readonly aux: AuxSlots;
  readonly slots: SlotAllocator;
  readonly defaultBootstrapPort: number;
  readonly #auxMemory: Mapping;

  private constructor(manager: KVManager, pool: KvPool, aux: AuxSlots, auxMemory: Mapping, bootstrapPort: number) {
    this.manager = manager;
    this.pool = pool;
    this.aux = aux;
    this.slots = new SlotAllocator(aux.slots);
    this.defaultBootstrapPort = bootstrapPort;
    this.#auxMemory = auxMemory;
  }

  /** @throws {OptionError} for a port in use or a transport that cannot be had. */
  static async create(
    role: "prefill" | "decode",
    options: DisaggregationOptions,
    pool: KvPool,
    auxSlots: number,
  ): Promise<KvLink> {
    const auxMemory = Mapping.allocate(AuxSlots.byteLength(auxSlots), { shared: true, name: "kvwire-aux" });
    const aux = new AuxSlots(auxMemory, auxSlots);
    const { bootstrapHost: host, bootstrapPort: port, transferBackend: transport } = options;
    const { advertiseHost, leaseMs, ibDevice, transferOptions = {} } = options;
    try {
      const manager = await KVManager.create({
        role,
        args: { ...describePool(pool), ...aux.args },
        transport,
        ...(role === "prefill" ? { bootstrap: { host, port, serve: true } } : {}),
        ...(advertiseHost === undefined ? {} : { advertiseHost }),
        transportOptions: {
          ...transferOptions,
          ...(ibDevice === undefined ? {} : { verbs: { ...transferOptions["verbs"], device: ibDevice } }),
        },
        timeouts: { threadMs: START_MS, ...(leaseMs === undefined ? {} : { leaseMs }) },
      });
      return new KvLink(manager, pool, aux, auxMemory, port);
    } catch (error) {
      auxMemory.close();
      throw asOptionError(error, port);
    }
  }

  /** The registry's port, where this half serves it. */
  get bootstrapPort(): number {
    return this.manager.bootstrapServer?.port ?? this.defaultBootstrapPort;
  }

  /** Ends the transfers. The pool's memory may be given back when this has settled. */
  async close(): Promise<void> {
    await this.manager.close();
    this.#auxMemory.close();
  }
}

function describePool(pool: KvPool): KVArgs {
  const { layout, pageSize, buffers } = pool;
  return {
    kvDataPtrs: buffers.map(({ region }) => region.address!),
    kvDataLens: buffers.map(({ pageBytes }) => pageBytes * pool.allocator.pages),
    kvItemLens: buffers.map(({ pageBytes }) => pageBytes),
    pageSize,
    attention: layout.buffers.some(({ kind }) => kind === "latent") ? "mla" : "mha",
    kvHeadNum: layout.heads,
    totalKvHeadNum: layout.heads,
    kvCacheDtype: "float32",
  };
}

function asOptionError(error: unknown, port: number): unknown {
  if (error instanceof KVUserError || (error instanceof KVTransferError && error.code === "NO_TRANSPORT")) {
    return new OptionError("--disaggregation-transfer-backend", error.message);
  }
  if (error instanceof KVTransferError && error.step === "bind") {
    return new OptionError("--disaggregation-bootstrap-port", `port ${port}: ${error.message}`);
  }
  return error;
}
