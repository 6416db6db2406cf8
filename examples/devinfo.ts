/**
 * ibv_devinfo in TypeScript: what RDMA devices this machine has and what they can do.
 * @module
 */
import { Command } from "commander";
import { Device } from "../ffi/verbs/index.ts";
import { deviceLines } from "./devinfo/device-text.ts";
import { portLines } from "./devinfo/port-text.ts";
import { integer } from "./pingpong/options.ts";

interface Flags {
  ibDev?: string;
  ibPort?: number;
  list?: true;
  verbose?: true;
}

function listDevices(): void {
  const devices = Device.list();
  console.log(`${devices.length} HCA${devices.length === 1 ? "" : "s"} found:`);
  for (const { name } of devices) console.log(`\t${name}`);
  console.log("");
}

function describe(device: Device, onlyPort: number | undefined, verbose: boolean): void {
  using context = device.open();
  const attributes = context.queryDeviceExtended();
  if (onlyPort !== undefined && onlyPort > attributes.physicalPorts) {
    throw new Error(`${device.name} has ${attributes.physicalPorts} ports, not ${onlyPort}`);
  }
  const ports = Array.from({ length: attributes.physicalPorts }, (_, index) => index + 1);
  const chosen = ports.filter((port) => onlyPort === undefined || port === onlyPort);
  const lines = chosen.flatMap((port) => portLines(context.port(port), verbose));
  console.log([...deviceLines(context, attributes, verbose), ...lines].join("\n"));
}

function main({ ibDev, ibPort, list, verbose }: Flags): void {
  if (list) return listDevices();
  const devices = ibDev === undefined ? Device.list() : [Device.find(ibDev)];
  if (devices.length === 0) devices.push(Device.find());
  for (const device of devices) describe(device, ibPort, verbose ?? false);
}

const command = new Command("devinfo")
  .description("print the attributes of RDMA devices")
  .option("-d, --ib-dev <device>", "use this device (default: all)")
  .option("-i, --ib-port <port>", "use this port (default: all)", integer(1, 255))
  .option("-l, --list", "print only the names of the devices")
  .option("-v, --verbose", "print all attributes")
  .parse();

try {
  main(command.opts<Flags>());
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
