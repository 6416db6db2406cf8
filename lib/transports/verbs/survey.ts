import { readFileSync, realpathSync } from "node:fs";
import { Device } from "../../../ffi/verbs/index.ts";
import type { Candidate, Wish } from "./device-choice.ts";

/** What the wire encodings of ibv_query_port(3) stand for. */
const WIDTHS: Readonly<Record<number, number>> = { 1: 1, 2: 4, 4: 8, 8: 12, 16: 2 };
const LANE_GIGABITS: Readonly<Record<number, number>> = {
  1: 2.5,
  2: 5,
  4: 10,
  8: 10,
  16: 14,
  32: 25,
  64: 50,
  128: 100,
  256: 200,
};

/**
 * Every port of every device of this machine.
 * @throws {LibraryNotFoundError} without libibverbs; {VerbsError} where a device cannot be opened.
 */
export function surveyDevices(): Candidate[] {
  return Device.list().flatMap((device) => {
    using context = device.open();
    const gids = context.gids();
    return Array.from({ length: context.queryDevice().physicalPorts }, (_, index): Candidate => {
      const port = context.port(index + 1);
      const { state, linkLayer, lid, activeMtu, maxMessageSize, activeWidth, activeSpeed } = port.query();
      return {
        device: device.name,
        port: port.number,
        ...placeOf(`${device.sysfsPath}/device`),
        state,
        linkLayer,
        lid,
        gigabits: (WIDTHS[activeWidth] ?? 0) * (LANE_GIGABITS[activeSpeed] ?? 0),
        mtu: activeMtu,
        maxMessageBytes: maxMessageSize,
        gids: gids
          .filter((entry) => entry.port === port.number)
          .map(({ gid, index: at, type, netdev }) => ({ index: at, type, hex: gid.toHex(), ipv4: gid.ipv4, netdev })),
      };
    });
  });
}

/** Where a PCI device, such as a GPU, stands. */
export function placeOfPciDevice(address: string): NonNullable<Wish["near"]> {
  return placeOf(`/sys/bus/pci/devices/${address.toLowerCase()}`);
}

function placeOf(sysfs: string): Pick<Candidate, "pciPath" | "numaNode"> {
  try {
    const path = realpathSync(sysfs);
    const at = path.indexOf("/pci");
    if (at < 0) return { pciPath: undefined, numaNode: undefined };
    const numaNode = Number(readFileSync(`${path}/numa_node`, "utf8"));
    return { pciPath: path.slice(at + 1), numaNode: numaNode >= 0 ? numaNode : undefined };
  } catch {
    // A software device has no place, and sysfs may be hidden.
    return { pciPath: undefined, numaNode: undefined };
  }
}
