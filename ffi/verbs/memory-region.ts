import type { Address } from "../runtime/index.ts";
import {
  Access,
  lastErrno,
  OPTIONAL_ACCESS_RANGE,
  Reregister,
  structs,
  unsafeExtendedVerb,
  unsafeReadField,
  verbs,
} from "./abi/index.ts";
import type { DeviceMemory } from "./device-memory.ts";
import { checked, created, unsupported, VerbsError } from "./errors.ts";
import type { ProtectionDomain } from "./protection-domain.ts";
import { requireInteger, requireSame, Resource } from "./resource.ts";

/** Anything with an address and a length that does not move: a mapping, a NativeBuffer, device memory of a GPU. */
export interface NativeMemory {
  readonly address: Address;
  readonly byteLength: number;
}

export interface RegisterOptions {
  /** Bits of `Access`; local write by default. */
  readonly access?: number;
  /** The address under which work requests name the region; its own address by default. */
  readonly iova?: number | bigint;
}

export interface DmaBuf {
  readonly fd: number;
  readonly offset: number;
  readonly byteLength: number;
}

interface RegionOrigin {
  readonly address: Address;
  readonly domain: ProtectionDomain;
  readonly retained: unknown;
  readonly parents: readonly Resource[];
  readonly access: number;
}

/** Memory that a device may reach. It keeps what it was registered from alive until it is closed. */
export class MemoryRegion extends Resource {
  readonly protectionDomain: ProtectionDomain;
  /** What entries of scatter/gather lists name the region by. */
  readonly lkey: number;
  /** What a peer names the region by. */
  readonly rkey: number;
  #address: Address;
  #byteLength: number;
  #access: number;

  private constructor({ address, domain, retained, parents, access }: RegionOrigin) {
    const { ibv_dereg_mr } = verbs().symbols;
    super({
      kind: "memory region",
      address,
      parents,
      destroy: () => checked("ibv_dereg_mr", ibv_dereg_mr(address)),
      retained,
    });
    this.protectionDomain = domain;
    this.lkey = unsafeReadField(address, structs.memoryRegion, "lkey");
    this.rkey = unsafeReadField(address, structs.memoryRegion, "rkey");
    this.#address = unsafeReadField(address, structs.memoryRegion, "addr");
    this.#byteLength = unsafeReadField(address, structs.memoryRegion, "length");
    this.#access = access;
  }

  static register(domain: ProtectionDomain, memory: NativeMemory, options: RegisterOptions = {}): MemoryRegion {
    const { access = Access.LOCAL_WRITE, iova } = options;
    requireInteger(memory.address, "the address of memory", 0, Number.MAX_SAFE_INTEGER);
    requireInteger(memory.byteLength, "the length of memory", 0, Number.MAX_SAFE_INTEGER);
    const address = register(domain.unsafeAddress, memory, access, iova);
    return new MemoryRegion({ address, domain, retained: memory, parents: [domain], access });
  }

  static registerDmaBuf(domain: ProtectionDomain, buffer: DmaBuf, options: RegisterOptions = {}): MemoryRegion {
    const { access = Access.LOCAL_WRITE, iova = 0 } = options;
    const { ibv_reg_dmabuf_mr: call } = verbs().optional;
    if (!call) throw unsupported("ibv_reg_dmabuf_mr");
    const { fd, offset, byteLength } = buffer;
    const address = created(
      "ibv_reg_dmabuf_mr",
      call(domain.unsafeAddress, offset, byteLength, iova, requireInteger(fd, "fd", -1, 0x7fff_ffff), access),
    );
    return new MemoryRegion({ address, domain, retained: buffer, parents: [domain], access });
  }

  static registerDeviceMemory(
    domain: ProtectionDomain,
    memory: DeviceMemory,
    offset: number,
    byteLength: number,
    access: number,
  ): MemoryRegion {
    requireSame(domain.context, memory.context, "device memory");
    const call = unsafeExtendedVerb(domain.context.unsafeAddress, "reg_dm_mr");
    if (!call) throw unsupported("ibv_reg_dm_mr");
    const address = created(
      "ibv_reg_dm_mr",
      call(domain.unsafeAddress, memory.unsafeAddress, offset, byteLength, access | Access.ZERO_BASED),
    );
    return new MemoryRegion({ address, domain, retained: memory, parents: [domain, memory], access });
  }

  /** Where the registered memory begins in this process. */
  get address(): Address {
    return this.#address;
  }

  get byteLength(): number {
    return this.#byteLength;
  }

  /** Bits of `Access`. */
  get access(): number {
    return this.#access;
  }

  /**
   * Changes the memory or the access rights under the same keys, where the provider can (rxe of rdma-core 44 cannot).
   * @throws {VerbsError}
   */
  reregister(change: { memory?: NativeMemory; access?: number }): void {
    const { memory, access } = change;
    const flags = (memory ? Reregister.CHANGE_TRANSLATION : 0) | (access === undefined ? 0 : Reregister.CHANGE_ACCESS);
    const { ibv_rereg_mr } = verbs().symbols;
    const next = memory ?? { address: 0, byteLength: 0 };
    const status = ibv_rereg_mr(this.unsafeAddress, flags, 0, next.address, next.byteLength, access ?? 0);
    // Its negative codes say which of the two registrations survived, not why it failed.
    if (status !== 0) throw new VerbsError("ibv_rereg_mr", lastErrno());
    if (memory) {
      this.retain(memory);
      this.#address = memory.address;
      this.#byteLength = memory.byteLength;
    }
    if (access !== undefined) this.#access = access;
  }
}

function register(domain: Address, memory: NativeMemory, access: number, iova: number | bigint | undefined): Address {
  const { symbols, optional } = verbs();
  const { address, byteLength } = memory;
  if ((access & OPTIONAL_ACCESS_RANGE) !== 0 && optional.ibv_reg_mr_iova2) {
    const region = optional.ibv_reg_mr_iova2(domain, address, byteLength, iova ?? address, access);
    return created("ibv_reg_mr_iova2", region);
  }
  // Optional bits may be ignored by definition, which is all that a library without iova2 can do.
  const bits = access & ~OPTIONAL_ACCESS_RANGE;
  if (iova === undefined) return created("ibv_reg_mr", symbols.ibv_reg_mr(domain, address, byteLength, bits));
  if (!optional.ibv_reg_mr_iova) throw unsupported("ibv_reg_mr_iova");
  return created("ibv_reg_mr_iova", optional.ibv_reg_mr_iova(domain, address, byteLength, iova, bits));
}
