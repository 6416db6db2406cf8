import { Command, InvalidArgumentError } from "commander";

/** The flags that both pingpong tools know. */
export interface PingPongOptions {
  /** The server's name; without one this is the server. */
  readonly host: string | undefined;
  /** TCP port on which the two sides tell each other their addresses. */
  readonly port: number;
  readonly device: string | undefined;
  readonly devicePort: number;
  /** Bytes of one message. */
  readonly size: number;
  /** Receives that are kept posted. */
  readonly receiveDepth: number;
  readonly iterations: number;
  readonly serviceLevel: number;
  readonly events: boolean;
  /** Undefined: the address is a LID, as on InfiniBand. */
  readonly gidIndex: number | undefined;
  readonly check: boolean;
}

/** An option's parser: decimal or 0x, between the bounds, as the C tools take it. */
export function integer(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`expected an integer from ${minimum} to ${maximum}`);
  };
}

const MAX_SIZE = 0x7fff_ffff;

/** A command with the flags of both tools. `parseOptions` reads them. */
export function pingPongCommand(name: string, description: string, defaultSize: number): Command {
  return new Command(name)
    .description(description)
    .argument("[host]", "connect to the server there; without it, be the server")
    .option("-p, --port <port>", "TCP port to exchange addresses on", integer(0, 65_535), 18_515)
    .option("-d, --ib-dev <device>", "RDMA device (default: the first one)")
    .option("-i, --ib-port <port>", "port of the device", integer(1, 255), 1)
    .option("-s, --size <bytes>", "size of a message", integer(1, MAX_SIZE), defaultSize)
    .option("-r, --rx-depth <count>", "receives to post at a time", integer(1, 0xffff), 500)
    .option("-n, --iters <count>", "exchanges", integer(1, MAX_SIZE), 1000)
    .option("-l, --sl <level>", "service level", integer(0, 15), 0)
    .option("-e, --events", "sleep on completion events instead of polling", false)
    .option("-g, --gid-idx <index>", "index of the local GID; RoCE needs one", integer(0, 255))
    .option("-c, --chk", "check the contents of what was received", false);
}

interface Flags {
  port: number;
  ibDev?: string;
  ibPort: number;
  size: number;
  rxDepth: number;
  iters: number;
  sl: number;
  events: boolean;
  gidIdx?: number;
  chk: boolean;
}

export function pingPongOptions(command: Command): PingPongOptions {
  const flags = command.opts<Flags>();
  return {
    host: command.args[0],
    port: flags.port,
    device: flags.ibDev,
    devicePort: flags.ibPort,
    size: flags.size,
    receiveDepth: flags.rxDepth,
    iterations: flags.iters,
    serviceLevel: flags.sl,
    events: flags.events,
    gidIndex: flags.gidIdx,
    check: flags.chk,
  };
}
