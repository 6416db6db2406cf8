import { type Address, NativeBuffer } from "../runtime/index.ts";
import { CompletionFlag, CompletionOpcode, CompletionStatus, nameOf, structs } from "./abi/index.ts";
import { CompletionError } from "./errors.ts";

export type CompletionStatusName = keyof typeof CompletionStatus | (string & {});
export type CompletionOpcodeName = keyof typeof CompletionOpcode | (string & {});

/** One completion, copied out. After an error only the first four members are known. */
export interface Completion {
  readonly workRequestId: number;
  readonly status: CompletionStatusName;
  readonly queuePairNumber: number;
  readonly vendorError: number;
  readonly opcode?: CompletionOpcodeName;
  /** Received or read bytes; not defined for sends and writes. */
  readonly byteLength?: number;
  /** In host order. */
  readonly immediate?: number;
  /** The key that the peer's SEND_WITH_INV invalidated here. */
  readonly invalidatedKey?: number;
  /** Datagrams: who sent it. */
  readonly sourceQueuePair?: number;
  /** Datagrams: the first 40 bytes of the buffer hold a global route header. */
  readonly hasRouteHeader?: boolean;
}

const { size, fields } = structs.workCompletion;
const WORDS = size / 4;
const ID = fields.wr_id.offset / 4;
const STATUS = fields.status.offset / 4;
const OPCODE = fields.opcode.offset / 4;
const VENDOR_ERROR = fields.vendor_err.offset / 4;
const BYTE_LENGTH = fields.byte_len.offset / 4;
const IMMEDIATE = fields.imm_data.offset / 4;
const QUEUE_PAIR = fields.qp_num.offset / 4;
const SOURCE = fields.src_qp.offset / 4;
const FLAGS = fields.wc_flags.offset / 4;

/**
 * Room for a batch of completions, filled by one call of `completionQueue.poll` and read in place: the accessors
 * allocate nothing. An index below `count` is the caller's promise.
 */
export class CompletionBatch {
  readonly capacity: number;
  /** How many the last poll brought. */
  count = 0;
  readonly #buffer: NativeBuffer;
  readonly #words: Uint32Array;

  constructor(capacity = 64) {
    this.capacity = capacity;
    this.#buffer = NativeBuffer.allocate(capacity * size);
    this.#words = this.#buffer.u32;
  }

  get unsafeAddress(): Address {
    return this.#buffer.address;
  }

  /** The number that the work request was posted with; exact below 2^53. */
  workRequestId(index: number): number {
    const word = index * WORDS + ID;
    return this.#words[word]! + this.#words[word + 1]! * 0x1_0000_0000;
  }

  /** A value of `CompletionStatus`; 0 is success. */
  status(index: number): number {
    return this.#words[index * WORDS + STATUS]!;
  }

  /** A value of `CompletionOpcode`. */
  opcode(index: number): number {
    return this.#words[index * WORDS + OPCODE]!;
  }

  vendorError(index: number): number {
    return this.#words[index * WORDS + VENDOR_ERROR]!;
  }

  byteLength(index: number): number {
    return this.#words[index * WORDS + BYTE_LENGTH]!;
  }

  /** In host order. */
  immediate(index: number): number {
    return swap32(this.#words[index * WORDS + IMMEDIATE]!);
  }

  queuePairNumber(index: number): number {
    return this.#words[index * WORDS + QUEUE_PAIR]!;
  }

  sourceQueuePair(index: number): number {
    return this.#words[index * WORDS + SOURCE]!;
  }

  /** Bits of `CompletionFlag`. */
  flags(index: number): number {
    return this.#words[index * WORDS + FLAGS]!;
  }

  /** @throws {CompletionError} naming the status, unless it is success. */
  requireSuccess(index: number): void {
    const status = this.status(index);
    if (status === CompletionStatus.SUCCESS) return;
    const name = nameOf(CompletionStatus, status);
    throw new CompletionError(name, this.workRequestId(index), this.queuePairNumber(index), this.vendorError(index));
  }

  /** A copy by name, for code that is in no hurry. */
  at(index: number): Completion {
    const status = nameOf(CompletionStatus, this.status(index));
    const known = {
      workRequestId: this.workRequestId(index),
      status,
      queuePairNumber: this.queuePairNumber(index),
      vendorError: this.vendorError(index),
    };
    if (status !== "SUCCESS") return known;
    const flags = this.flags(index);
    return {
      ...known,
      opcode: nameOf(CompletionOpcode, this.opcode(index)),
      byteLength: this.byteLength(index),
      sourceQueuePair: this.sourceQueuePair(index),
      hasRouteHeader: (flags & CompletionFlag.GRH) !== 0,
      ...((flags & CompletionFlag.WITH_IMM) !== 0 && { immediate: this.immediate(index) }),
      ...((flags & CompletionFlag.WITH_INV) !== 0 && { invalidatedKey: this.#words[index * WORDS + IMMEDIATE]! }),
    };
  }
}

/** Between host order and network order. */
export function swap32(value: number): number {
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}
