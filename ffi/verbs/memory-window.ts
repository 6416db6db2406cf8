import { type Address, unsafeViewAt } from "../runtime/index.ts";
import { MemoryWindowType, structs, unsafeReadField } from "./abi/index.ts";
import { checked, created, unsupported, VerbsUserError } from "./errors.ts";
import type { ProtectionDomain } from "./protection-domain.ts";
import { Resource } from "./resource.ts";

/** A part of a memory region, with rights and a key of its own that can be taken back without deregistering. */
export class MemoryWindow extends Resource {
  readonly protectionDomain: ProtectionDomain;
  readonly type: keyof typeof MemoryWindowType;

  private constructor(
    address: Address,
    domain: ProtectionDomain,
    type: keyof typeof MemoryWindowType,
    free: (window: Address) => number,
  ) {
    super({
      kind: "memory window",
      address,
      parents: [domain],
      destroy: () => checked("ibv_dealloc_mw", free(address)),
    });
    this.protectionDomain = domain;
    this.type = type;
  }

  static allocate(domain: ProtectionDomain, type: keyof typeof MemoryWindowType): MemoryWindow {
    const { alloc_mw, dealloc_mw } = domain.context.unsafeVerbs;
    if (!alloc_mw || !dealloc_mw) throw unsupported("ibv_alloc_mw");
    if (MemoryWindowType[type] === undefined) {
      throw new VerbsUserError("INVALID_ARGUMENT", `a memory window is TYPE_1 or TYPE_2, not ${type}`);
    }
    const address = created("ibv_alloc_mw", alloc_mw(domain.unsafeAddress, MemoryWindowType[type]));
    return new MemoryWindow(address, domain, type, dealloc_mw);
  }

  /**
   * A bound window must go before the queue pair and the region that it was bound by, or the kernel holds those back
   * (soft-RoCE waits 50 s in ibv_destroy_qp): closing either closes the window first, until it is bound anew.
   */
  unsafeBoundBy(queuePair: Resource, region: Resource): void {
    this.reparent([this.protectionDomain, queuePair, region]);
  }

  /** Type 2: a bind request that names the key has been posted. Providers compare the next one's with what stands here. */
  unsafeAnswersTo(rkey: number): void {
    const { size, fields } = structs.memoryWindow;
    new DataView(unsafeViewAt(this.unsafeAddress, size)).setUint32(fields.rkey.offset, rkey, true);
  }

  /** The key of the last bind; `nextKey` makes from it the one that a type 2 bind may name. */
  get rkey(): number {
    return unsafeReadField(this.unsafeAddress, structs.memoryWindow, "rkey");
  }
}

/** The key with its lowest byte, the only part that a type 2 bind may choose, counted up. */
export function nextKey(rkey: number): number {
  return ((rkey & 0xffff_ff00) | ((rkey + 1) & 0xff)) >>> 0;
}
