import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NativeBuffer } from "../runtime/index.ts";
import { GidType, nameOf, structs, verbs } from "./abi/index.ts";
import type { Context } from "./context.ts";
import { VerbsError } from "./errors.ts";
import { Gid } from "./gid.ts";
import type { Port } from "./port.ts";

export interface GidEntry {
  readonly gid: Gid;
  readonly index: number;
  readonly port: number;
  readonly type: keyof typeof GidType | (string & {});
  /** The name of the network interface it belongs to, where the kernel says. */
  readonly netdev: string | undefined;
}

/** The used entries of all ports' GID tables. */
export function gidTable(context: Context): GidEntry[] {
  const address = context.unsafeAddress;
  const query = verbs().optional._ibv_query_gid_table;
  const ports = Array.from({ length: context.queryDevice().physicalPorts }, (_, index) => context.port(index + 1));
  if (!query) return ports.flatMap(gidsBySysfs);
  const room = ports.reduce((sum, port) => sum + port.query().gidTableLength, 0);
  const { size, fields } = structs.gidEntry;
  const table = NativeBuffer.allocate(room * size);
  const count = query(address, table.address, room, 0, size);
  if (count < 0) throw new VerbsError("ibv_query_gid_table", -count);
  return Array.from({ length: count }, (_, entry) => {
    const base = entry * size;
    const index = table.view.getUint32(base + fields.gid_index.offset, true);
    const port = table.view.getUint32(base + fields.port_num.offset, true);
    return {
      gid: Gid.fromBytes(table.bytes.subarray(base, base + fields.gid.size)),
      index,
      port,
      type: nameOf(GidType, table.view.getUint32(base + fields.gid_type.offset, true)),
      netdev: sysfsGidAttribute(ports[port - 1]!, "ndevs", index),
    };
  });
}

/** For libraries before 1.11: sysfs says the type of each entry. */
function gidsBySysfs(port: Port): GidEntry[] {
  const { gidTableLength, linkLayer } = port.query();
  return Array.from({ length: gidTableLength }, (_, index) => ({ index, gid: port.gid(index) }))
    .filter(({ gid }) => !gid.isNull)
    .map(({ index, gid }) => {
      const v2 = sysfsGidAttribute(port, "types", index) === "RoCE v2";
      const type = v2 ? "ROCE_V2" : linkLayer === "ETHERNET" ? "ROCE_V1" : "IB";
      return { gid, index, port: port.number, type, netdev: sysfsGidAttribute(port, "ndevs", index) };
    });
}

function sysfsGidAttribute(port: Port, name: "types" | "ndevs", index: number): string | undefined {
  const folder = join(port.context.device.sysfsPath, "ports", String(port.number), "gid_attrs", name);
  try {
    return readFileSync(join(folder, String(index)), "utf8").trim();
  } catch {
    // InfiniBand ports have no network interface, and sysfs may be hidden: the kernel then says nothing.
    return undefined;
  }
}
