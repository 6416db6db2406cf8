import type { Address } from "../runtime/index.ts";
import {
  type InlineVerbs,
  QueuePairType,
  StructBuffer,
  structs,
  unsafeReadField,
  verbs,
  WorkRequestOpcode,
} from "./abi/index.ts";
import { CompletionQueue } from "./completion-queue.ts";
import { checked, created, unsupported, VerbsUserError } from "./errors.ts";
import type { Gid } from "./gid.ts";
import type { ProtectionDomain } from "./protection-domain.ts";
import {
  QUERIED_MASK,
  decodeAttributes,
  encodeAttributes,
  type QueriedAttributes,
  type QueuePairAttributes,
  type QueuePairStateName,
} from "./queue-pair-attributes.ts";
import {
  decodeCapabilities,
  encodeCapabilities,
  type QueuePairCapabilities,
  requireReceiveFits,
  requireSendFits,
} from "./queue-pair-capabilities.ts";
import { type QueuePairTypeName, requireTransition } from "./queue-pair-state.ts";
import type { ReceiveList } from "./receive-list.ts";
import { requireResource, requireSame, Resource } from "./resource.ts";
import type { SendList, WindowBinding } from "./send-list.ts";
import { SharedReceiveQueue } from "./shared-receive-queue.ts";

export interface QueuePairOptions {
  readonly type: QueuePairTypeName;
  readonly sendCompletionQueue: CompletionQueue;
  readonly receiveCompletionQueue: CompletionQueue;
  /** Receives come from there instead of an own queue. */
  readonly sharedReceiveQueue?: SharedReceiveQueue;
  /** 16 requests, 1 entry and no inline data unless given. */
  readonly capabilities?: Partial<QueuePairCapabilities>;
  /** Every send request reports its completion, whatever its flags say. */
  readonly signalAll?: boolean;
}

const sendStates: readonly QueuePairStateName[] = ["RTS", "SQD", "SQE", "ERR"];

/** A send queue and a receive queue. It starts in RESET and takes sends from RTS on. */
export class QueuePair extends Resource {
  readonly protectionDomain: ProtectionDomain;
  readonly type: QueuePairTypeName;
  /** 24 bits: what a peer addresses it by. */
  readonly number: number;
  /** What the device granted. */
  readonly capabilities: QueuePairCapabilities;
  readonly sendCompletionQueue: CompletionQueue;
  readonly receiveCompletionQueue: CompletionQueue;
  readonly sharedReceiveQueue: SharedReceiveQueue | undefined;
  readonly #verbs: InlineVerbs;
  #state: QueuePairStateName = "RESET";
  #maySend = false;

  private constructor(
    address: Address,
    domain: ProtectionDomain,
    options: QueuePairOptions,
    capabilities: QueuePairCapabilities,
  ) {
    const { ibv_destroy_qp } = verbs().symbols;
    const { sendCompletionQueue, receiveCompletionQueue, sharedReceiveQueue } = options;
    const queues = new Set<Resource>([sendCompletionQueue, receiveCompletionQueue]);
    if (sharedReceiveQueue) queues.add(sharedReceiveQueue);
    super({
      kind: "queue pair",
      address,
      parents: [domain, ...queues],
      destroy: () => checked("ibv_destroy_qp", ibv_destroy_qp(address)),
    });
    this.protectionDomain = domain;
    this.type = options.type;
    this.number = unsafeReadField(address, structs.queuePair, "qp_num");
    this.capabilities = capabilities;
    this.sendCompletionQueue = sendCompletionQueue;
    this.receiveCompletionQueue = receiveCompletionQueue;
    this.sharedReceiveQueue = sharedReceiveQueue;
    this.#verbs = domain.context.unsafeVerbs;
  }

  static create(domain: ProtectionDomain, options: QueuePairOptions): QueuePair {
    const { sendCompletionQueue, receiveCompletionQueue, sharedReceiveQueue, capabilities = {} } = options;
    const type = QueuePairType[options.type];
    if (options.type !== "RC" && options.type !== "UC" && options.type !== "UD") {
      throw new VerbsUserError("INVALID_ARGUMENT", `type must be RC, UC or UD, not ${options.type}`);
    }
    requireResource(sendCompletionQueue, CompletionQueue, "sendCompletionQueue");
    requireResource(receiveCompletionQueue, CompletionQueue, "receiveCompletionQueue");
    requireSame(domain.context, sendCompletionQueue.context, "send completion queue");
    requireSame(domain.context, receiveCompletionQueue.context, "receive completion queue");
    if (sharedReceiveQueue !== undefined) {
      requireResource(sharedReceiveQueue, SharedReceiveQueue, "sharedReceiveQueue");
      requireSame(domain.context, sharedReceiveQueue.protectionDomain.context, "shared receive queue");
    }
    const attributes = new StructBuffer(structs.queuePairInitAttributes)
      .set("send_cq", sendCompletionQueue.unsafeAddress)
      .set("recv_cq", receiveCompletionQueue.unsafeAddress)
      .set("srq", sharedReceiveQueue?.unsafeAddress ?? 0)
      .set("qp_type", type)
      .set("sq_sig_all", options.signalAll ? 1 : 0);
    encodeCapabilities(capabilities, attributes);
    const { ibv_create_qp } = verbs().symbols;
    const address = created("ibv_create_qp", ibv_create_qp(domain.unsafeAddress, attributes.address));
    return new QueuePair(address, domain, options, decodeCapabilities(attributes));
  }

  /** As far as this side knows: a device that gives up moves it to ERR unseen, until `query()` or a failed completion. */
  get state(): QueuePairStateName {
    return this.#state;
  }

  /**
   * Changes attributes, the state among them. The attributes given are the ones that change.
   * @throws {VerbsUserError} "ILLEGAL_TRANSITION" naming what is missing or extra; {VerbsError} where the device refuses.
   */
  modify(change: Partial<QueuePairAttributes>): void {
    const address = this.unsafeAddress;
    const next = requireTransition(this.type, this.#state, change);
    const { encoded, mask } = encodeAttributes(change);
    checked("ibv_modify_qp", verbs().symbols.ibv_modify_qp(address, encoded.address, mask));
    this.#enter(next);
  }

  /** What the device knows of it. @throws {VerbsError} */
  query(): QueriedAttributes & { readonly capabilities: QueuePairCapabilities } {
    const attributes = new StructBuffer(structs.queuePairAttributes);
    const init = new StructBuffer(structs.queuePairInitAttributes);
    const { ibv_query_qp } = verbs().symbols;
    checked("ibv_query_qp", ibv_query_qp(this.unsafeAddress, attributes.address, QUERIED_MASK, init.address));
    const decoded = decodeAttributes(attributes);
    this.#enter(decoded.state);
    return { ...decoded, capabilities: decodeCapabilities(init) };
  }

  /**
   * Posts all requests of the list with one native call.
   * @throws {VerbsUserError} for what can be seen before; {PostError} saying how many requests were taken.
   */
  postSend(list: SendList): void {
    const queue = this.unsafeAddress;
    if (list.count === 0) return;
    if (!this.#maySend) throw this.#notReady();
    requireSendFits(list, this.type, this.capabilities);
    list.prepareObjects(this);
    list.unsafePost(this.#verbs.post_send, queue, "ibv_post_send");
    list.unsafeNameWindows();
  }

  /** Posts all receives of the list with one native call. @throws as `postSend` */
  postReceive(list: ReceiveList): void {
    const queue = this.unsafeAddress;
    if (list.count === 0) return;
    if (this.sharedReceiveQueue)
      throw new VerbsUserError("WRONG_STATE", "this queue pair receives from its shared receive queue");
    if (this.#state === "RESET")
      throw new VerbsUserError("WRONG_STATE", "a queue pair in RESET takes no receives; modify it to INIT");
    requireReceiveFits(list, this.capabilities);
    list.unsafePost(this.#verbs.post_recv, queue, "ibv_post_recv");
  }

  /** Binds a type 1 window; its new key is `binding.window.rkey` from then on. @throws {VerbsError} */
  bindWindow(id: number, binding: WindowBinding, flags: number): void {
    const { window, region } = binding;
    requireSame(this.protectionDomain, window.protectionDomain, "memory window");
    requireSame(this.protectionDomain, region.protectionDomain, "memory region");
    const { bind_mw } = this.#verbs;
    if (!bind_mw) throw unsupported("ibv_bind_mw");
    if (window.type !== "TYPE_1")
      throw new VerbsUserError("INVALID_ARGUMENT", "a type 2 window is bound by a posted request");
    if (!this.#maySend) throw this.#notReady();
    const request = new StructBuffer(structs.memoryWindowBind)
      .set("wr_id", id)
      .set("send_flags", flags)
      .set("bind_info.mr", region.unsafeAddress)
      .set("bind_info.addr", binding.address)
      .set("bind_info.length", binding.byteLength)
      .set("bind_info.mw_access_flags", binding.access);
    window.unsafeBoundBy(this, region);
    checked("ibv_bind_mw", bind_mw(this.unsafeAddress, window.unsafeAddress, request.address));
  }

  /**
   * Whether the bytes of one such request arrive at their places in rising order, so that the last byte proves the rest.
   * False where the library cannot say (before 1.14).
   */
  deliversInOrder(opcode: keyof typeof WorkRequestOpcode): boolean {
    return verbs().optional.ibv_query_qp_data_in_order?.(this.unsafeAddress, WorkRequestOpcode[opcode], 0) === 1;
  }

  /** Datagrams to the group arrive here too. @throws {VerbsError} */
  joinMulticast(group: Gid, lid = 0): void {
    const gid = new StructBuffer(structs.gid);
    gid.bytes("raw").set(group.bytes);
    checked("ibv_attach_mcast", verbs().symbols.ibv_attach_mcast(this.unsafeAddress, gid.address, lid));
  }

  leaveMulticast(group: Gid, lid = 0): void {
    const gid = new StructBuffer(structs.gid);
    gid.bytes("raw").set(group.bytes);
    checked("ibv_detach_mcast", verbs().symbols.ibv_detach_mcast(this.unsafeAddress, gid.address, lid));
  }

  #enter(state: QueuePairStateName): void {
    this.#state = state;
    this.#maySend = sendStates.includes(state);
  }

  #notReady(): VerbsUserError {
    return new VerbsUserError(
      "WRONG_STATE",
      `a queue pair in ${this.#state} takes no send requests; it must be in RTS`,
    );
  }
}
