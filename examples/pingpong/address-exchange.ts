import { createConnection, createServer, type Socket } from "node:net";
import { Gid } from "../../ffi/verbs/index.ts";

/** What each side must know of the other. */
export interface PeerAddress {
  readonly lid: number;
  readonly queuePair: number;
  readonly packetSequence: number;
  readonly gid: Gid;
}

/** "LLLL:QQQQQQ:PPPPPP:" and 32 digits of GID, hexadecimal, with C's terminating NUL. */
const MESSAGE_BYTES = 52;
const DONE = "done\0";
const EXCHANGE_DEADLINE_MS = 60_000;

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

export function encodeAddress({ lid, queuePair, packetSequence, gid }: PeerAddress): string {
  return `${hex(lid, 4)}:${hex(queuePair, 6)}:${hex(packetSequence, 6)}:${gid.toHex()}\0`;
}

export function decodeAddress(message: string): PeerAddress {
  const fields = /^([0-9a-f]{1,8}):([0-9a-f]{1,8}):([0-9a-f]{1,8}):([0-9a-f]{32})\0$/.exec(message);
  if (!fields) throw new Error(`the peer's address is not understood: ${JSON.stringify(message)}`);
  const [lid, queuePair, packetSequence] = fields.slice(1, 4).map((digits) => parseInt(digits, 16));
  return { lid: lid!, queuePair: queuePair!, packetSequence: packetSequence!, gid: Gid.fromHex(fields[4]!) };
}

export function describeAddress({ lid, queuePair, packetSequence, gid }: PeerAddress): string {
  return `LID 0x${hex(lid, 4)}, QPN 0x${hex(queuePair, 6)}, PSN 0x${hex(packetSequence, 6)}, GID ${gid}`;
}

/** Reads exactly so many bytes; a peer that hangs up earlier is an error. */
async function readExactly(socket: Socket, byteLength: number): Promise<string> {
  for (;;) {
    const chunk = socket.read(byteLength) as Buffer | null;
    if (chunk?.length === byteLength) return chunk.toString("latin1");
    if (chunk || socket.readableEnded) throw new Error("the peer hung up before it told its address");
    await new Promise<void>((resolve, reject) => {
      socket.once("readable", resolve).once("end", resolve).once("error", reject);
    });
  }
}

/** Connects, tells the own address first, and confirms the answer. */
export async function exchangeAsClient(host: string, port: number, own: PeerAddress): Promise<PeerAddress> {
  const socket = createConnection({ host, port, timeout: EXCHANGE_DEADLINE_MS });
  socket.once("timeout", () => socket.destroy(new Error(`no answer from ${host}:${port}`)));
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.write(encodeAddress(own));
  const remote = decodeAddress(await readExactly(socket, MESSAGE_BYTES));
  await new Promise<void>((resolve) => socket.end(DONE, resolve));
  return remote;
}

/**
 * Takes one client; `ready` prepares to receive from it before it is told where to send to.
 * @returns the client's address, once it has confirmed ours.
 */
export async function exchangeAsServer(
  port: number,
  own: PeerAddress,
  ready: (remote: PeerAddress) => void,
): Promise<PeerAddress> {
  const server = createServer({ pauseOnConnect: false });
  const socket = await new Promise<Socket>((resolve, reject) => {
    server.once("connection", resolve).once("error", reject).listen(port);
  });
  server.close();
  socket.setTimeout(EXCHANGE_DEADLINE_MS, () => socket.destroy(new Error("the client fell silent")));
  const remote = decodeAddress(await readExactly(socket, MESSAGE_BYTES));
  ready(remote);
  socket.write(encodeAddress(own));
  await readExactly(socket, DONE.length);
  socket.end();
  return remote;
}
