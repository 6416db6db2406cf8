import { constants } from "node:os";
import { NativeBuffer } from "../runtime/index.ts";
import { LinkLayer, Mtu, nameOf, PortState, StructBuffer, structs, unsafeExtendedVerb, verbs } from "./abi/index.ts";
import type { Context } from "./context.ts";
import { checked, unsupported, VerbsError } from "./errors.ts";
import { Gid } from "./gid.ts";
import { type GidEntry, gidTable } from "./gid-table.ts";
import { requireInteger } from "./resource.ts";

/** What ibv_query_port(3) tells. */
export interface PortAttributes {
  readonly state: keyof typeof PortState | (string & {});
  /** Bytes, like `activeMtu`. */
  readonly maxMtu: number;
  readonly activeMtu: number;
  readonly gidTableLength: number;
  readonly capabilityFlags: number;
  readonly capabilityFlags2: number;
  /** Bytes. */
  readonly maxMessageSize: number;
  readonly badPartitionKeyCounter: number;
  readonly queueKeyViolationCounter: number;
  readonly partitionKeyTableLength: number;
  readonly lid: number;
  readonly subnetManagerLid: number;
  readonly lidMaskControl: number;
  readonly maxVirtualLanes: number;
  readonly subnetManagerServiceLevel: number;
  readonly subnetTimeout: number;
  readonly initTypeReply: number;
  /** The wire encoding; ibv_devinfo says what 1, 2, 4, 8 and 16 mean. */
  readonly activeWidth: number;
  readonly activeSpeed: number;
  readonly physicalState: number;
  readonly linkLayer: keyof typeof LinkLayer | (string & {});
  readonly flags: number;
}

/** Newer libraries write past our 52 bytes. */
const PORT_ATTRIBUTES_ROOM = 64;

/** One physical port of an open device, numbered from 1. */
export class Port {
  readonly context: Context;
  readonly number: number;

  private constructor(context: Context, number: number) {
    this.context = context;
    this.number = number;
  }

  static of(context: Context, number: number): Port {
    return new Port(context, requireInteger(number, "port number", 1, 255));
  }

  /** @throws {VerbsError} EINVAL where the device has no such port. */
  query(): PortAttributes {
    const context = this.context.unsafeAddress;
    const attributes = new StructBuffer(structs.portAttributes, PORT_ATTRIBUTES_ROOM);
    const call = unsafeExtendedVerb(context, "query_port");
    checked(
      "ibv_query_port",
      call
        ? call(context, this.number, attributes.address, structs.portAttributes.size)
        : verbs().symbols.ibv_query_port(context, this.number, attributes.address),
    );
    return {
      state: nameOf(PortState, attributes.get("state")),
      maxMtu: mtuBytes(attributes.get("max_mtu")),
      activeMtu: mtuBytes(attributes.get("active_mtu")),
      gidTableLength: attributes.get("gid_tbl_len"),
      capabilityFlags: attributes.get("port_cap_flags"),
      capabilityFlags2: attributes.get("port_cap_flags2"),
      maxMessageSize: attributes.get("max_msg_sz"),
      badPartitionKeyCounter: attributes.get("bad_pkey_cntr"),
      queueKeyViolationCounter: attributes.get("qkey_viol_cntr"),
      partitionKeyTableLength: attributes.get("pkey_tbl_len"),
      lid: attributes.get("lid"),
      subnetManagerLid: attributes.get("sm_lid"),
      lidMaskControl: attributes.get("lmc"),
      maxVirtualLanes: attributes.get("max_vl_num"),
      subnetManagerServiceLevel: attributes.get("sm_sl"),
      subnetTimeout: attributes.get("subnet_timeout"),
      initTypeReply: attributes.get("init_type_reply"),
      activeWidth: attributes.get("active_width"),
      activeSpeed: attributes.get("active_speed"),
      physicalState: attributes.get("phys_state"),
      linkLayer: nameOf(LinkLayer, attributes.get("link_layer")),
      flags: attributes.get("flags"),
    };
  }

  /** One entry of the GID table, used or not. @throws {VerbsError} where the table has no such index. */
  gid(index: number): Gid {
    const gid = new StructBuffer(structs.gid);
    const { ibv_query_gid } = verbs().symbols;
    checked("ibv_query_gid", ibv_query_gid(this.context.unsafeAddress, this.number, index, gid.address));
    return Gid.fromBytes(gid.bytes("raw"));
  }

  /** The used entries of this port's GID table. */
  gids(): GidEntry[] {
    return gidTable(this.context).filter((entry) => entry.port === this.number);
  }

  /** An entry of the partition key table, in host order. @throws {VerbsError} where the table has no such index. */
  partitionKey(index: number): number {
    const key = NativeBuffer.allocate(2);
    const { ibv_query_pkey } = verbs().symbols;
    checked("ibv_query_pkey", ibv_query_pkey(this.context.unsafeAddress, this.number, index, key.address));
    return key.view.getUint16(0);
  }

  /** Where in the table a partition key stands. @throws {VerbsError} where it is not there, or the library is too old. */
  partitionKeyIndex(key: number): number {
    const call = verbs().optional.ibv_get_pkey_index;
    if (!call) throw unsupported("ibv_get_pkey_index");
    requireInteger(key, "partition key", 0, 0xffff);
    const index = call(this.context.unsafeAddress, this.number, ((key & 0xff) << 8) | (key >>> 8));
    if (index < 0) throw new VerbsError("ibv_get_pkey_index", constants.errno.ENOENT, `0x${key.toString(16)}`);
    return index;
  }
}

function mtuBytes(value: number): number {
  return Number(nameOf(Mtu, value));
}
