import { describe, expect, test } from "bun:test";
import { closeDescriptor, duplicateDescriptor, TcpSocket, UnixSocket } from "../../../ffi/libc/index.ts";
import { openTransport } from "./support/context.ts";
import { drive, OutboundLog } from "./support/pair.ts";
import { PollReactor } from "./support/poll-reactor.ts";
import { ended, type Receiver, receiver } from "./support/stranger.ts";

describe.each(["shm", "tcp"])("the lobby of %s", (name) => {
  const dial = ({ inbound }: Receiver): UnixSocket | TcpSocket => {
    const { name: path, host, port } = inbound.offer as { name: string; host: string; port: number };
    return path ? UnixSocket.connect(path) : TcpSocket.connect({ host, port });
  };
  const comesIn = (one: Receiver): void => {
    const log = new OutboundLog();
    const reactor = new PollReactor();
    const prefill = openTransport(name, { role: "prefill", reactor });
    prefill.openOutbound("decode", one.inbound.offer, log);
    drive(
      () => {
        one.turn();
        reactor.turn(1);
      },
      () => log.isConnected,
    );
    prefill.close();
  };

  test("is not filled for ever by strangers who say nothing", () => {
    using one = receiver(name);
    const strangers = Array.from({ length: 100 }, () => {
      const socket = dial(one);
      one.turn();
      return socket;
    });
    comesIn(one);
    expect(strangers.filter((socket) => ended(socket)).length).toBeGreaterThanOrEqual(36);
    for (const socket of strangers) socket.close();
  });

  test("sends people away while the process has no descriptor left, and lets them in again afterwards", () => {
    using one = receiver(name);
    const first = dial(one);
    const hoard: number[] = [];
    try {
      for (;;) hoard.push(duplicateDescriptor(first.fd));
    } catch (error) {
      expect(error).toMatchObject({ code: "EMFILE" });
    }
    try {
      drive(one.turn, () => ended(first));
    } finally {
      for (const fd of hoard) closeDescriptor(fd);
    }
    comesIn(one);
    first.close();
  });
});
