import { type Address, NativeBuffer } from "../runtime/index.ts";
import { SharedReceiveQueueAttribute, StructBuffer, structs, unsafeExtendedVerb, verbs } from "./abi/index.ts";
import { checked, created, unsupported, VerbsUserError } from "./errors.ts";
import type { ProtectionDomain } from "./protection-domain.ts";
import type { ReceiveList } from "./receive-list.ts";
import { requireInteger, Resource } from "./resource.ts";

export interface SharedReceiveQueueOptions {
  /** Receives that fit; the device may round up. */
  readonly requests: number;
  /** Scatter entries of one receive; 1 by default. */
  readonly entries?: number;
  /** When fewer receives are left, the context reports SRQ_LIMIT_REACHED once; 0 is never. */
  readonly limit?: number;
}

export interface SharedReceiveQueueAttributes {
  readonly requests: number;
  readonly entries: number;
  readonly limit: number;
}

/** Receives that several queue pairs take from. */
export class SharedReceiveQueue extends Resource {
  readonly protectionDomain: ProtectionDomain;
  /** What the device granted. */
  readonly requests: number;
  readonly entries: number;

  private constructor(address: Address, domain: ProtectionDomain, requests: number, entries: number) {
    const { ibv_destroy_srq } = verbs().symbols;
    super({
      kind: "shared receive queue",
      address,
      parents: [domain],
      destroy: () => checked("ibv_destroy_srq", ibv_destroy_srq(address)),
    });
    this.protectionDomain = domain;
    this.requests = requests;
    this.entries = entries;
  }

  static create(domain: ProtectionDomain, options: SharedReceiveQueueOptions): SharedReceiveQueue {
    const attributes = new StructBuffer(structs.sharedReceiveQueueInitAttributes)
      .set("attr.max_wr", requireInteger(options.requests, "requests", 1, 0x7fff_ffff))
      .set("attr.max_sge", requireInteger(options.entries ?? 1, "entries", 1, 0x7fff_ffff))
      .set("attr.srq_limit", requireInteger(options.limit ?? 0, "limit", 0, 0x7fff_ffff));
    const { ibv_create_srq } = verbs().symbols;
    const address = created("ibv_create_srq", ibv_create_srq(domain.unsafeAddress, attributes.address));
    return new SharedReceiveQueue(address, domain, attributes.get("attr.max_wr"), attributes.get("attr.max_sge"));
  }

  /** Posts all receives of the list. @throws {PostError} saying how many were taken; {VerbsUserError} */
  post(list: ReceiveList): void {
    const queue = this.unsafeAddress;
    if (list.count === 0) return;
    if (list.count > this.requests) {
      throw new VerbsUserError("LIST_TOO_LONG", `${list.count} receives for a queue of ${this.requests}`);
    }
    if (list.widest > this.entries) {
      throw new VerbsUserError(
        "TOO_MANY_ENTRIES",
        `a receive has ${list.widest} entries, the queue takes ${this.entries}`,
      );
    }
    list.unsafePost(this.protectionDomain.context.unsafeVerbs.post_srq_recv, queue, "ibv_post_srq_recv");
  }

  /** Sets the limit, or the size where the device can resize. @throws {VerbsError} */
  modify({ requests, limit }: { requests?: number; limit?: number }): void {
    const attributes = new StructBuffer(structs.sharedReceiveQueueAttributes)
      .set("max_wr", requireInteger(requests ?? 0, "requests", 0, 0x7fff_ffff))
      .set("srq_limit", requireInteger(limit ?? 0, "limit", 0, 0x7fff_ffff));
    const mask =
      (requests === undefined ? 0 : SharedReceiveQueueAttribute.MAX_WR) |
      (limit === undefined ? 0 : SharedReceiveQueueAttribute.LIMIT);
    checked("ibv_modify_srq", verbs().symbols.ibv_modify_srq(this.unsafeAddress, attributes.address, mask));
  }

  query(): SharedReceiveQueueAttributes {
    const attributes = new StructBuffer(structs.sharedReceiveQueueAttributes);
    checked("ibv_query_srq", verbs().symbols.ibv_query_srq(this.unsafeAddress, attributes.address));
    return {
      requests: attributes.get("max_wr"),
      entries: attributes.get("max_sge"),
      limit: attributes.get("srq_limit"),
    };
  }

  /** The number that an XRC peer names it by. @throws {VerbsError} EOPNOTSUPP where it has none. */
  get number(): number {
    const call = unsafeExtendedVerb(this.protectionDomain.context.unsafeAddress, "get_srq_num");
    if (!call) throw unsupported("ibv_get_srq_num");
    const number = NativeBuffer.allocate(4);
    checked("ibv_get_srq_num", call(this.unsafeAddress, number.address));
    return number.u32[0]!;
  }
}
