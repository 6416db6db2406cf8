/**
 * show_gids in TypeScript: the addresses under which each port can be reached, with the index that `-g` takes.
 * @module
 */
import { Device, type GidEntry } from "../ffi/verbs/index.ts";

const versions: Record<string, string> = { IB: "", ROCE_V1: "v1", ROCE_V2: "v2" };

function row(device: string, { port, index, gid, type, netdev }: GidEntry): string {
  const version = versions[type] ?? type;
  return [device, port, index, gid.toLongString(), (gid.ipv4 ?? "").padEnd(15), version, netdev ?? ""].join("\t");
}

try {
  const devices = Device.list();
  // Says what to do about it.
  if (devices.length === 0) Device.find();
  const rows = devices.flatMap((device) => {
    using context = device.open();
    return context.gids().map((entry) => row(device.name, entry));
  });
  console.log("DEV\tPORT\tINDEX\tGID\t\t\t\t\tIPv4  \t\tVER\tDEV");
  console.log("---\t----\t-----\t---\t\t\t\t\t------------  \t---\t---");
  if (rows.length > 0) console.log(rows.join("\n"));
  console.log(`n_gids_found=${rows.length}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
