import { Mtu, nameOf, PathMigration, QueuePairAttribute, QueuePairState, StructBuffer, structs } from "./abi/index.ts";
import { type AddressAttributes, decodeAddress, encodeAddress } from "./address-handle.ts";
import { VerbsUserError } from "./errors.ts";
import { requireInteger } from "./resource.ts";

/** Where a connection goes on when its path fails, on devices that can migrate. */
export interface AlternatePath {
  readonly address: AddressAttributes;
  readonly partitionKeyIndex: number;
  readonly port: number;
  /** As the queue pair's own. */
  readonly timeout: number;
}

export type QueuePairStateName = keyof typeof QueuePairState;

/** What can be set of a queue pair, or asked. Times and counts are in the encodings of ibv_modify_qp(3). */
export interface QueuePairAttributes {
  readonly state: QueuePairStateName;
  readonly currentState: QueuePairStateName;
  /** Bits of `Access`: what the peer may do. */
  readonly access: number;
  readonly partitionKeyIndex: number;
  readonly port: number;
  readonly queueKey: number;
  /** The peer's address. */
  readonly address: AddressAttributes;
  /** Bytes: 256, 512, 1024, 2048 or 4096. */
  readonly pathMtu: number;
  /** 4.096 µs × 2^timeout until a missing acknowledgement is asked for again; 0 is never. */
  readonly timeout: number;
  readonly retryCount: number;
  /** How often to wait for a peer without a posted receive; 7 is for ever. */
  readonly receiverNotReadyRetry: number;
  /** 24 bits. */
  readonly receivePacketSequence: number;
  /** Outstanding reads and atomics that this side starts. */
  readonly maxReadAtomic: number;
  /** Outstanding reads and atomics that this side answers. */
  readonly maxDestinationReadAtomic: number;
  readonly minReceiverNotReadyTimer: number;
  /** 24 bits. */
  readonly sendPacketSequence: number;
  readonly alternatePath: AlternatePath;
  readonly pathMigration: keyof typeof PathMigration;
  /** 24 bits. */
  readonly remoteQueuePair: number;
  readonly announceDrained: boolean;
  /** kbit/s. */
  readonly rateLimit: number;
}

export type AttributeName = keyof QueuePairAttributes;

type Encoded = StructBuffer<typeof structs.queuePairAttributes.fields>;
type Member = keyof typeof structs.queuePairAttributes.fields & string;

interface Attribute<K extends AttributeName> {
  readonly mask: number;
  encode(value: QueuePairAttributes[K], into: Encoded): void;
  decode(from: Encoded): QueuePairAttributes[K];
}

function integer(mask: number, member: Member, maximum: number) {
  return {
    mask,
    encode: (value: number, into: Encoded) => void into.set(member, requireInteger(value, member, 0, maximum)),
    decode: (from: Encoded) => from.get(member),
  };
}

function named<T extends Readonly<Record<string, number>>>(mask: number, member: Member, table: T) {
  return {
    mask,
    encode: (value: keyof T & string, into: Encoded) => {
      const code = table[value];
      if (code === undefined) throw new VerbsUserError("INVALID_ARGUMENT", `${member}: "${value}" is unknown`);
      into.set(member, code);
    },
    decode: (from: Encoded) => nameOf(table, from.get(member)) as keyof T & string,
  };
}

const A = QueuePairAttribute;

const attributes: { readonly [K in AttributeName]: Attribute<K> } = {
  state: named(A.STATE, "qp_state", QueuePairState),
  currentState: named(A.CUR_STATE, "cur_qp_state", QueuePairState),
  access: integer(A.ACCESS_FLAGS, "qp_access_flags", 0x7fff_ffff),
  partitionKeyIndex: integer(A.PKEY_INDEX, "pkey_index", 0xffff),
  port: integer(A.PORT, "port_num", 255),
  queueKey: integer(A.QKEY, "qkey", 0xffff_ffff),
  address: {
    mask: A.AV,
    encode: (value, into) => into.bytes("ah_attr").set(encodeAddress(value).buffer.bytes),
    decode: (from) => decodeAddress(from.bytes("ah_attr")),
  },
  pathMtu: {
    mask: A.PATH_MTU,
    encode: (value, into) => void into.set("path_mtu", mtuCode(value)),
    decode: (from) => Number(nameOf(Mtu, from.get("path_mtu"))),
  },
  timeout: integer(A.TIMEOUT, "timeout", 31),
  retryCount: integer(A.RETRY_CNT, "retry_cnt", 7),
  receiverNotReadyRetry: integer(A.RNR_RETRY, "rnr_retry", 7),
  receivePacketSequence: integer(A.RQ_PSN, "rq_psn", 0xff_ffff),
  maxReadAtomic: integer(A.MAX_QP_RD_ATOMIC, "max_rd_atomic", 255),
  maxDestinationReadAtomic: integer(A.MAX_DEST_RD_ATOMIC, "max_dest_rd_atomic", 255),
  minReceiverNotReadyTimer: integer(A.MIN_RNR_TIMER, "min_rnr_timer", 31),
  sendPacketSequence: integer(A.SQ_PSN, "sq_psn", 0xff_ffff),
  alternatePath: {
    mask: A.ALT_PATH,
    encode: ({ address, partitionKeyIndex, port, timeout }, into) => {
      into.bytes("alt_ah_attr").set(encodeAddress(address).buffer.bytes);
      into.set("alt_pkey_index", requireInteger(partitionKeyIndex, "alternatePath.partitionKeyIndex", 0, 0xffff));
      into.set("alt_port_num", requireInteger(port, "alternatePath.port", 1, 255));
      into.set("alt_timeout", requireInteger(timeout, "alternatePath.timeout", 0, 31));
    },
    decode: (from) => ({
      address: decodeAddress(from.bytes("alt_ah_attr")),
      partitionKeyIndex: from.get("alt_pkey_index"),
      port: from.get("alt_port_num"),
      timeout: from.get("alt_timeout"),
    }),
  },
  pathMigration: named(A.PATH_MIG_STATE, "path_mig_state", PathMigration),
  remoteQueuePair: integer(A.DEST_QPN, "dest_qp_num", 0xff_ffff),
  announceDrained: {
    mask: A.EN_SQD_ASYNC_NOTIFY,
    encode: (value, into) => void into.set("en_sqd_async_notify", value ? 1 : 0),
    decode: (from) => from.get("en_sqd_async_notify") !== 0,
  },
  rateLimit: integer(A.RATE_LIMIT, "rate_limit", 0xffff_ffff),
};

function mtuCode(bytes: number): number {
  const code = (Mtu as Readonly<Record<number, number>>)[bytes];
  if (code !== undefined) return code;
  throw new VerbsUserError("INVALID_ARGUMENT", `pathMtu must be one of ${Object.keys(Mtu).join(", ")}, not ${bytes}`);
}

/** The struct and the mask of what is given. @throws {VerbsUserError} for a value out of its range. */
export function encodeAttributes(given: Partial<QueuePairAttributes>): { encoded: Encoded; mask: number } {
  const encoded = new StructBuffer(structs.queuePairAttributes);
  let mask = 0;
  for (const name of namesIn(given)) mask |= encodeOne(name, given, encoded);
  return { encoded, mask };
}

function encodeOne<K extends AttributeName>(name: K, given: Partial<QueuePairAttributes>, into: Encoded): number {
  const attribute: Attribute<K> = attributes[name];
  attribute.encode(given[name]!, into);
  return attribute.mask;
}

/** What can be asked; a rate limit can only be set. */
export type QueriedAttributes = Omit<QueuePairAttributes, "rateLimit">;

const queried = Object.entries(attributes).filter(([name]) => name !== "rateLimit");

/** Everything that can be asked, whether the device keeps it or not. */
export function decodeAttributes(encoded: Encoded): QueriedAttributes {
  return Object.fromEntries(queried.map(([name, attribute]) => [name, attribute.decode(encoded)])) as never;
}

/** The mask that asks ibv_query_qp for all of them. */
export const QUERIED_MASK = queried.reduce((mask, [, attribute]) => mask | attribute.mask, A.CAP);

/** The names that are given a value. @throws {VerbsUserError} for a name that is no attribute. */
export function namesIn(given: Partial<QueuePairAttributes>): AttributeName[] {
  const names = Object.keys(given) as AttributeName[];
  for (const name of names) {
    if (!(name in attributes)) throw new VerbsUserError("INVALID_ARGUMENT", `"${name}" is no queue pair attribute`);
  }
  return names.filter((name) => given[name] !== undefined);
}
