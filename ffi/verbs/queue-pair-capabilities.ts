import { nameOf, type StructBuffer, type structs, WorkRequestOpcode } from "./abi/index.ts";
import { type UserErrorCode, VerbsUserError } from "./errors.ts";
import type { QueuePairTypeName } from "./queue-pair-state.ts";
import type { ReceiveList } from "./receive-list.ts";
import { requireInteger } from "./resource.ts";
import type { SendList } from "./send-list.ts";

/** How much fits; the device may grant more than was asked. */
export interface QueuePairCapabilities {
  readonly sendRequests: number;
  readonly receiveRequests: number;
  /** Scatter/gather entries of one send request. */
  readonly sendEntries: number;
  readonly receiveEntries: number;
  readonly inlineBytes: number;
}

const members = {
  sendRequests: "cap.max_send_wr",
  receiveRequests: "cap.max_recv_wr",
  sendEntries: "cap.max_send_sge",
  receiveEntries: "cap.max_recv_sge",
  inlineBytes: "cap.max_inline_data",
} as const;

const names = Object.keys(members) as (keyof typeof members)[];

const defaults: QueuePairCapabilities = {
  sendRequests: 16,
  receiveRequests: 16,
  sendEntries: 1,
  receiveEntries: 1,
  inlineBytes: 0,
};

type InitAttributes = StructBuffer<typeof structs.queuePairInitAttributes.fields>;

export function encodeCapabilities(asked: Partial<QueuePairCapabilities>, into: InitAttributes): void {
  for (const name of names) {
    into.set(members[name], requireInteger(asked[name] ?? defaults[name], name, 0, 0x7fff_ffff));
  }
}

export function decodeCapabilities(attributes: InitAttributes): QueuePairCapabilities {
  const entries = names.map((name) => [name, attributes.get(members[name])]);
  return Object.fromEntries(entries) as Record<keyof QueuePairCapabilities, number>;
}

const op = WorkRequestOpcode;
const sends = (1 << op.SEND) | (1 << op.SEND_WITH_IMM);
const windows = (1 << op.LOCAL_INV) | (1 << op.BIND_MW) | (1 << op.SEND_WITH_INV);
const writes = (1 << op.RDMA_WRITE) | (1 << op.RDMA_WRITE_WITH_IMM);
const answered = (1 << op.RDMA_READ) | (1 << op.ATOMIC_CMP_AND_SWP) | (1 << op.ATOMIC_FETCH_AND_ADD);

/** InfiniBand Architecture Specification volume 1, table 49: what each service can carry, one bit for each opcode. */
const carried: Readonly<Record<QueuePairTypeName, number>> = {
  RC: sends | windows | writes | answered,
  UC: sends | windows | writes,
  UD: sends,
};

/** @throws {VerbsUserError} for a list that the queue pair can never take, before the device is asked. */
export function requireSendFits(list: SendList, type: QueuePairTypeName, capabilities: QueuePairCapabilities): void {
  const { sendRequests, sendEntries, inlineBytes } = capabilities;
  if (list.count > sendRequests) throw tooLong(list.count, sendRequests);
  if (list.widest > sendEntries) throw tooWide(list.widest, sendEntries);
  if (list.largestInline > inlineBytes) {
    throw wrong("TOO_MUCH_INLINE_DATA", `${list.largestInline} bytes inline, the queue pair takes ${inlineBytes}`);
  }
  const refused = list.opcodes & ~carried[type];
  if (refused !== 0) {
    const name = nameOf(WorkRequestOpcode, 31 - Math.clz32(refused));
    throw wrong("INVALID_ARGUMENT", `a ${type} queue pair cannot carry ${name}`);
  }
  // The provider follows the address handle of each datagram without looking whether there is one.
  if (list.datagrams !== (type === "UD" ? list.count : 0)) {
    throw wrong("INVALID_ARGUMENT", "sendTo is for UD queue pairs, which take nothing else");
  }
}

/** @throws {VerbsUserError} as `requireSendFits` */
export function requireReceiveFits(
  list: ReceiveList,
  { receiveRequests, receiveEntries }: QueuePairCapabilities,
): void {
  if (list.count > receiveRequests) throw tooLong(list.count, receiveRequests);
  if (list.widest > receiveEntries) throw tooWide(list.widest, receiveEntries);
}

function wrong(code: UserErrorCode, message: string): VerbsUserError {
  return new VerbsUserError(code, message);
}

function tooLong(count: number, room: number): VerbsUserError {
  return wrong("LIST_TOO_LONG", `${count} requests for a queue of ${room}`);
}

function tooWide(entries: number, room: number): VerbsUserError {
  return wrong("TOO_MANY_ENTRIES", `a request has ${entries} scatter/gather entries, the queue takes ${room}`);
}
