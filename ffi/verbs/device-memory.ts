import { type Address, unsafeFunctionAt } from "../runtime/index.ts";
import { StructBuffer, structs, unsafeExtendedVerb, unsafeReadField } from "./abi/index.ts";
import type { Context } from "./context.ts";
import { checked, created, unsupported } from "./errors.ts";
import type { NativeMemory } from "./memory-region.ts";
import { requireInteger, Resource } from "./resource.ts";

export interface DeviceMemoryOptions {
  /** Bytes. */
  readonly byteLength: number;
  /** The address is a multiple of two to this power. */
  readonly alignmentLog2?: number;
}

const copyTo = { parameters: ["pointer", "u64", "pointer", "usize"], result: "i32" } as const;
const copyFrom = { parameters: ["pointer", "pointer", "u64", "usize"], result: "i32" } as const;

/** Memory on the network device itself; see ibv_alloc_dm(3). */
export class DeviceMemory extends Resource {
  readonly context: Context;
  readonly byteLength: number;

  private constructor(address: Address, context: Context, byteLength: number, free: (memory: Address) => number) {
    super({
      kind: "device memory",
      address,
      parents: [context],
      destroy: () => checked("ibv_free_dm", free(address)),
    });
    this.context = context;
    this.byteLength = byteLength;
  }

  static allocate(context: Context, { byteLength, alignmentLog2 = 0 }: DeviceMemoryOptions): DeviceMemory {
    const allocate = unsafeExtendedVerb(context.unsafeAddress, "alloc_dm");
    const free = unsafeExtendedVerb(context.unsafeAddress, "free_dm");
    if (!allocate || !free) throw unsupported("ibv_alloc_dm");
    const attributes = new StructBuffer(structs.deviceMemoryAttributes)
      .set("length", requireInteger(byteLength, "byteLength", 1, Number.MAX_SAFE_INTEGER))
      .set("log_align_req", requireInteger(alignmentLog2, "alignmentLog2", 0, 63));
    const address = created("ibv_alloc_dm", allocate(context.unsafeAddress, attributes.address));
    return new DeviceMemory(address, context, byteLength, free);
  }

  /** Copies all of `source` to the device. @throws {VerbsError} EFAULT where it does not fit. */
  write(offset: number, source: NativeMemory): void {
    const call = unsafeFunctionAt(unsafeReadField(this.unsafeAddress, structs.deviceMemory, "memcpy_to_dm"), copyTo);
    checked("ibv_memcpy_to_dm", call(this.unsafeAddress, offset, source.address, source.byteLength));
  }

  /** Fills `target` from the device. @throws {VerbsError} EFAULT where there is not as much. */
  read(offset: number, target: NativeMemory): void {
    const pointer = unsafeReadField(this.unsafeAddress, structs.deviceMemory, "memcpy_from_dm");
    const call = unsafeFunctionAt(pointer, copyFrom);
    checked("ibv_memcpy_from_dm", call(target.address, this.unsafeAddress, offset, target.byteLength));
  }
}
