import type { Address } from "../runtime/index.ts";
import { SendFlag, structs, WorkRequestOpcode } from "./abi/index.ts";
import type { AddressHandle } from "./address-handle.ts";
import { swap32 } from "./completion.ts";
import { VerbsUserError } from "./errors.ts";
import type { MemoryRegion } from "./memory-region.ts";
import type { MemoryWindow } from "./memory-window.ts";
import { requireSame } from "./resource.ts";
import type { QueuePair } from "./queue-pair.ts";
import { WorkRequestList, type WorkRequestListOptions } from "./work-request.ts";

const { fields } = structs.sendWorkRequest;
const OPCODE = fields.opcode.offset / 4;
const FLAGS = fields.send_flags.offset / 4;
const IMMEDIATE = fields.imm_data.offset / 4;
/** The remote address of reads, writes and atomics; the address handle of datagrams. */
const REMOTE = fields["wr.rdma.remote_addr"].offset / 4;
const RKEY = fields["wr.rdma.rkey"].offset / 4;
const COMPARE_ADD = fields["wr.atomic.compare_add"].offset / 4;
const SWAP = fields["wr.atomic.swap"].offset / 4;
const ATOMIC_RKEY = fields["wr.atomic.rkey"].offset / 4;
const REMOTE_QUEUE_PAIR = fields["wr.ud.remote_qpn"].offset / 4;
const REMOTE_QUEUE_KEY = fields["wr.ud.remote_qkey"].offset / 4;
const WINDOW = fields["bind_mw.mw"].offset / 4;
const WINDOW_RKEY = fields["bind_mw.rkey"].offset / 4;
const BIND_REGION = fields["bind_mw.bind_info.mr"].offset / 4;
const BIND_ADDRESS = fields["bind_mw.bind_info.addr"].offset / 4;
const BIND_LENGTH = fields["bind_mw.bind_info.length"].offset / 4;
const BIND_ACCESS = fields["bind_mw.bind_info.mw_access_flags"].offset / 4;

const ATOMIC_BYTES = 8;
const op = WorkRequestOpcode;

/** Where a datagram goes. */
export interface DatagramTarget {
  readonly address: AddressHandle;
  readonly queuePair: number;
  readonly queueKey: number;
}

/** What a memory window shall cover, and what it allows. */
export interface WindowBinding {
  readonly window: MemoryWindow;
  readonly region: MemoryRegion;
  readonly address: Address;
  readonly byteLength: number;
  /** Bits of `Access`. */
  readonly access: number;
}

/**
 * A list of send requests. `entry(…)` adds local memory to the request that follows; each other method makes one.
 * `flags` are bits of `SendFlag`, SIGNALED unless given: an unsignalled request that succeeds reports nothing.
 */
export class SendList extends WorkRequestList {
  /** One bit for each opcode in the list. */
  opcodes = 0;
  /** How many of the requests are datagrams with an address handle. */
  datagrams = 0;
  /** The most bytes that one request sends inline. */
  largestInline = 0;
  /** Objects that the list points to, which must be open, and of the queue pair's domain, when it is posted. */
  readonly #objects: (AddressHandle | MemoryRegion | MemoryWindow)[] = [];
  readonly #bindings: { readonly binding: WindowBinding; readonly rkey: number }[] = [];

  constructor(options: WorkRequestListOptions) {
    super(structs.sendWorkRequest, options);
  }

  override clear(): void {
    super.clear();
    this.opcodes = 0;
    this.datagrams = 0;
    this.largestInline = 0;
    if (this.#objects.length === 0) return;
    this.#objects.length = 0;
    this.#bindings.length = 0;
  }

  send(id: number, flags: number = SendFlag.SIGNALED): this {
    this.#begin(id, op.SEND, flags);
    return this;
  }

  /** The peer's completion carries the 32 bits. */
  sendWithImmediate(id: number, immediate: number, flags: number = SendFlag.SIGNALED): this {
    const word = this.#begin(id, op.SEND_WITH_IMM, flags);
    this.words[word + IMMEDIATE] = swap32(immediate);
    return this;
  }

  /** Takes back the peer's memory window of that key. */
  sendWithInvalidate(id: number, rkey: number, flags: number = SendFlag.SIGNALED): this {
    const word = this.#begin(id, op.SEND_WITH_INV, flags);
    this.words[word + IMMEDIATE] = rkey;
    return this;
  }

  /** A datagram. */
  sendTo(id: number, target: DatagramTarget, flags: number = SendFlag.SIGNALED): this {
    this.#target(this.#begin(id, op.SEND, flags), target);
    return this;
  }

  sendToWithImmediate(id: number, target: DatagramTarget, immediate: number, flags: number = SendFlag.SIGNALED): this {
    const word = this.#begin(id, op.SEND_WITH_IMM, flags);
    this.words[word + IMMEDIATE] = swap32(immediate);
    this.#target(word, target);
    return this;
  }

  write(id: number, remote: Address, rkey: number, flags: number = SendFlag.SIGNALED): this {
    this.#remote(this.#begin(id, op.RDMA_WRITE, flags), remote, rkey);
    return this;
  }

  /** Takes a posted receive from the peer, whose completion carries the 32 bits after the data has landed. */
  writeWithImmediate(
    id: number,
    remote: Address,
    rkey: number,
    immediate: number,
    flags: number = SendFlag.SIGNALED,
  ): this {
    const word = this.#begin(id, op.RDMA_WRITE_WITH_IMM, flags);
    this.words[word + IMMEDIATE] = swap32(immediate);
    this.#remote(word, remote, rkey);
    return this;
  }

  read(id: number, remote: Address, rkey: number, flags: number = SendFlag.SIGNALED): this {
    this.#remote(this.#begin(id, op.RDMA_READ, flags), remote, rkey);
    return this;
  }

  /** The old 8 bytes arrive in the entry; `swap` takes their place where they equal `compare`. */
  compareSwap(
    id: number,
    remote: Address,
    rkey: number,
    compare: bigint,
    swap: bigint,
    flags: number = SendFlag.SIGNALED,
  ): this {
    const word = this.#atomic(id, op.ATOMIC_CMP_AND_SWP, remote, rkey, flags);
    this.#u64(word + COMPARE_ADD, compare);
    this.#u64(word + SWAP, swap);
    return this;
  }

  /** The old 8 bytes arrive in the entry; the sum, modulo 2^64, takes their place. */
  fetchAdd(id: number, remote: Address, rkey: number, add: bigint, flags: number = SendFlag.SIGNALED): this {
    this.#u64(this.#atomic(id, op.ATOMIC_FETCH_AND_ADD, remote, rkey, flags) + COMPARE_ADD, add);
    return this;
  }

  /** Binds a type 2 window; afterwards it answers to `rkey`, which `nextKey(window.rkey)` makes. */
  bindWindow(id: number, binding: WindowBinding, rkey: number, flags: number = SendFlag.SIGNALED): this {
    const { window, region } = binding;
    this.#objects.push(window, region);
    this.#bindings.push({ binding, rkey });
    const word = this.#begin(id, op.BIND_MW, flags);
    // Providers copy the field whatever the request is, and another may have stood here.
    this.words[word + IMMEDIATE] = 0;
    this.#address(word + WINDOW, window.unsafeAddress);
    this.words[word + WINDOW_RKEY] = rkey;
    this.#address(word + BIND_REGION, region.unsafeAddress);
    this.#address(word + BIND_ADDRESS, binding.address);
    this.#address(word + BIND_LENGTH, binding.byteLength);
    this.words[word + BIND_ACCESS] = binding.access;
    return this;
  }

  /** Takes back the own memory window of that key. */
  invalidate(id: number, rkey: number, flags: number = SendFlag.SIGNALED): this {
    const word = this.#begin(id, op.LOCAL_INV, flags);
    this.words[word + IMMEDIATE] = rkey;
    return this;
  }

  /** Makes the last request report its completion, and with it that of all before it. */
  signalLast(): void {
    const word = this.lastWord + FLAGS;
    this.words[word] = this.words[word]! | SendFlag.SIGNALED;
  }

  /**
   * Checks what the list points to before the device follows the pointers, and ties windows to what they are bound by.
   * @throws {VerbsUserError} "CLOSED" or "FOREIGN_OBJECT"
   */
  prepareObjects(queuePair: QueuePair): void {
    for (const object of this.#objects) {
      object.requireOpen();
      requireSame(queuePair.protectionDomain, object.protectionDomain, object.kind);
    }
    for (const { binding } of this.#bindings) binding.window.unsafeBoundBy(queuePair, binding.region);
  }

  /** The list has been posted: the next bind of a window starts from the key that this one named. */
  unsafeNameWindows(): void {
    for (const { binding, rkey } of this.#bindings) binding.window.unsafeAnswersTo(rkey);
  }

  #begin(id: number, opcode: number, flags: number): number {
    const inline = (flags & SendFlag.INLINE) === 0 ? 0 : this.entries.openBytes;
    if (inline > this.largestInline) this.largestInline = inline;
    const word = this.begin(id);
    this.words[word + OPCODE] = opcode;
    this.words[word + FLAGS] = flags;
    this.opcodes |= 1 << opcode;
    return word;
  }

  #remote(word: number, address: Address, rkey: number): void {
    this.#address(word + REMOTE, address);
    this.words[word + RKEY] = rkey;
  }

  #target(word: number, { address, queuePair, queueKey }: DatagramTarget): void {
    this.#objects.push(address);
    this.#address(word + REMOTE, address.unsafeAddress);
    this.words[word + REMOTE_QUEUE_PAIR] = queuePair;
    this.words[word + REMOTE_QUEUE_KEY] = queueKey;
    this.datagrams++;
  }

  #atomic(id: number, opcode: number, remote: Address, rkey: number, flags: number): number {
    if (remote % ATOMIC_BYTES !== 0) {
      throw new VerbsUserError(
        "UNALIGNED_ATOMIC",
        `atomics need an address that 8 divides, not 0x${remote.toString(16)}`,
      );
    }
    if (this.entries.openBytes !== ATOMIC_BYTES) {
      throw new VerbsUserError("INVALID_ARGUMENT", `atomics answer 8 bytes, not ${this.entries.openBytes}`);
    }
    const word = this.#begin(id, opcode, flags);
    this.#address(word + REMOTE, remote);
    this.words[word + ATOMIC_RKEY] = rkey;
    return word;
  }

  #address(word: number, value: number): void {
    this.words[word] = value >>> 0;
    this.words[word + 1] = (value / 0x1_0000_0000) >>> 0;
  }

  #u64(word: number, value: bigint): void {
    this.words[word] = Number(BigInt.asUintN(32, value));
    this.words[word + 1] = Number(BigInt.asUintN(32, value >> 32n));
  }
}
