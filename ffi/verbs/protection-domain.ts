import type { Address } from "../runtime/index.ts";
import { type Advice, type MemoryWindowType, StructBuffer, structs, unsafeExtendedVerb, verbs } from "./abi/index.ts";
import { type AddressAttributes, AddressHandle } from "./address-handle.ts";
import type { Context } from "./context.ts";
import type { DeviceMemory } from "./device-memory.ts";
import { checked, created, unsupported } from "./errors.ts";
import { type DmaBuf, MemoryRegion, type NativeMemory, type RegisterOptions } from "./memory-region.ts";
import { MemoryWindow } from "./memory-window.ts";
import { QueuePair, type QueuePairOptions } from "./queue-pair.ts";
import { requireSame, Resource } from "./resource.ts";
import { SharedReceiveQueue, type SharedReceiveQueueOptions } from "./shared-receive-queue.ts";

/** The fence around memory regions, windows, queues and address handles that may be used together. */
export class ProtectionDomain extends Resource {
  readonly context: Context;

  private constructor(address: Address, context: Context) {
    const { ibv_dealloc_pd } = verbs().symbols;
    super({
      kind: "protection domain",
      address,
      parents: [context],
      destroy: () => checked("ibv_dealloc_pd", ibv_dealloc_pd(address)),
    });
    this.context = context;
  }

  static allocate(context: Context): ProtectionDomain {
    const { ibv_alloc_pd } = verbs().symbols;
    return new ProtectionDomain(created("ibv_alloc_pd", ibv_alloc_pd(context.unsafeAddress)), context);
  }

  /** Makes memory known to the device; the region keeps `memory` alive. @throws {VerbsError} */
  registerMemory(memory: NativeMemory, options?: RegisterOptions): MemoryRegion {
    return MemoryRegion.register(this, memory, options);
  }

  /** Makes a dma-buf, such as GPU memory, known to the device. @throws {VerbsError} EOPNOTSUPP where it cannot. */
  registerDmaBuf(buffer: DmaBuf, options?: RegisterOptions): MemoryRegion {
    return MemoryRegion.registerDmaBuf(this, buffer, options);
  }

  registerDeviceMemory(memory: DeviceMemory, offset: number, byteLength: number, access: number): MemoryRegion {
    return MemoryRegion.registerDeviceMemory(this, memory, offset, byteLength, access);
  }

  /** Type 1 windows are bound by `queuePair.bindWindow`, type 2 by a posted `bindWindow` request. */
  allocateMemoryWindow(type: keyof typeof MemoryWindowType = "TYPE_2"): MemoryWindow {
    return MemoryWindow.allocate(this, type);
  }

  createQueuePair(options: QueuePairOptions): QueuePair {
    return QueuePair.create(this, options);
  }

  createSharedReceiveQueue(options: SharedReceiveQueueOptions): SharedReceiveQueue {
    return SharedReceiveQueue.create(this, options);
  }

  createAddressHandle(attributes: AddressAttributes): AddressHandle {
    return AddressHandle.create(this, attributes);
  }

  /**
   * Tells the device what will be done with a part of an on-demand paging region; see ibv_advise_mr(3).
   * @throws {VerbsError} EOPNOTSUPP where the provider takes no advice.
   */
  advise(advice: (typeof Advice)[keyof typeof Advice], flags: number, region: MemoryRegion): void {
    requireSame(this, region.protectionDomain, "memory region");
    const call = unsafeExtendedVerb(this.context.unsafeAddress, "advise_mr");
    if (!call) throw unsupported("ibv_advise_mr");
    const entry = new StructBuffer(structs.scatterGatherEntry)
      .set("addr", region.address)
      .set("length", region.byteLength)
      .set("lkey", region.lkey);
    checked("ibv_advise_mr", call(this.unsafeAddress, advice, flags, entry.address, 1));
  }
}
