import type { Port } from "../../ffi/verbs/index.ts";
import { linkLayer, mtu, physicalState, portState, speed, virtualLanes, width } from "./names.ts";

/** Three tabs, `name:`, and the value in the column where ibv_devinfo has it. */
function row(name: string, value: string | number): string {
  const tabs = Math.max(1, Math.ceil((24 - name.length - 1) / 8));
  return `\t\t\t${name}:${"\t".repeat(tabs)}${value}`;
}

const hex = (value: number, digits = 0) => `0x${value.toString(16).padStart(digits, "0")}`;

/** RoCE v2 and v1 share addresses; InfiniBand has only one kind. */
const gidSuffix: Record<string, string> = { IB: "", ROCE_V1: ", IB/RoCE v1", ROCE_V2: ", RoCE v2" };

function gidLines(port: Port): string[] {
  return port.gids().map(({ index, gid, type }) => {
    // A RoCE v2 entry that stands for an IPv4 address is printed like one.
    const address = type === "ROCE_V2" ? gid.toString() : gid.toLongString();
    return `\t\t\tGID[${String(index).padStart(3)}]:\t\t${address}${gidSuffix[type] ?? ""}`;
  });
}

/** What ibv_devinfo prints of a port. */
export function portLines(port: Port, verbose: boolean): string[] {
  const attributes = port.query();
  const brief = [
    `\t\tport:\t${port.number}`,
    row("state", portState(attributes.state)),
    row("max_mtu", mtu(attributes.maxMtu)),
    row("active_mtu", mtu(attributes.activeMtu)),
    row("sm_lid", attributes.subnetManagerLid),
    row("port_lid", attributes.lid),
    row("port_lmc", hex(attributes.lidMaskControl, 2)),
    row("link_layer", linkLayer(attributes.linkLayer)),
  ];
  if (!verbose) return [...brief, ""];
  return [
    ...brief,
    row("max_msg_sz", hex(attributes.maxMessageSize)),
    row("port_cap_flags", hex(attributes.capabilityFlags, 8)),
    row("port_cap_flags2", hex(attributes.capabilityFlags2, 4)),
    row("max_vl_num", virtualLanes(attributes.maxVirtualLanes)),
    row("bad_pkey_cntr", hex(attributes.badPartitionKeyCounter)),
    row("qkey_viol_cntr", hex(attributes.queueKeyViolationCounter)),
    row("sm_sl", attributes.subnetManagerServiceLevel),
    row("pkey_tbl_len", attributes.partitionKeyTableLength),
    row("gid_tbl_len", attributes.gidTableLength),
    row("subnet_timeout", attributes.subnetTimeout),
    row("init_type_reply", attributes.initTypeReply),
    row("active_width", width(attributes.activeWidth)),
    row("active_speed", speed(attributes.activeSpeed)),
    ...(port.context.device.transport === "IB" ? [row("phys_state", physicalState(attributes.physicalState))] : []),
    ...gidLines(port),
    "",
  ];
}
