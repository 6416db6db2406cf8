import { describe, expect, test } from "bun:test";
import { TcpListener, TcpSocket } from "../../../ffi/libc/index.ts";
import { GreetingReader } from "../../../lib/transports/tcp/greeting.ts";
import { factories, makeContext, openTransport } from "./support/context.ts";
import { drive, OutboundLog } from "./support/pair.ts";
import { PollReactor } from "./support/poll-reactor.ts";
import { ended, json, NONCE, type Receiver, receiver, send, words } from "./support/stranger.ts";

const KiB = 1024;

describe("tcp", () => {
  const dial = ({ inbound, turn }: Receiver): TcpSocket => {
    const { host, port } = inbound.offer as { host: string; port: number };
    const socket = TcpSocket.connect({ host, port });
    drive(turn, () => {
      try {
        return socket.peerAddress.port === port;
      } catch {
        return false;
      }
    });
    return socket;
  };
  const hello = (token: unknown): Uint8Array[] => {
    const text = json({ version: 2, token, nonce: NONCE });
    return [words(0x3177766b, text.length), text];
  };
  /** Greets with the right token and is accepted. */
  const join = (one: Receiver): TcpSocket => {
    const socket = dial(one);
    send(socket, ...hello(one.inbound.offer["token"]));
    one.inbound.accept({ nonce: NONCE });
    drive(one.turn, () => one.log.isConnected);
    one.inbound.expect(1);
    return socket;
  };
  /** A DATA frame: head, table, bytes. */
  const data = (tag: number, flags: number, runs: readonly [number, number][], total = 0): Uint8Array[] => {
    const bytes = runs.reduce((sum, [, length]) => sum + length, 0);
    const table = runs.flatMap(([address, length]) => [address >>> 0, Math.floor(address / 2 ** 32), length, 0]);
    return [words(1, tag, runs.length, flags, bytes, 0, total, 0), words(...table), new Uint8Array(bytes).fill(0xee)];
  };

  test.each([
    ["a wrong token", hello("f".repeat(32))],
    ["a token that is none", hello(7)],
    ["garbage", [new Uint8Array(100).fill(0x41)]],
    ["a greeting of a gigabyte", [words(0x3177766b, 2 ** 30)]],
    ["a greeting that is no JSON", [words(0x3177766b, 4), new Uint8Array(4)]],
  ])("%s is shown the door, and the right sender still comes in", (_what, bytes) => {
    using one = receiver("tcp");
    const stranger = dial(one);
    send(stranger, ...bytes);
    drive(one.turn, () => ended(stranger));
    expect([one.log.isConnected, one.log.error]).toEqual([false, undefined]);
    const sender = join(one);
    for (const socket of [stranger, sender]) socket.close();
  });

  test("a token is good once", () => {
    using one = receiver("tcp");
    const sender = join(one);
    const second = dial(one);
    send(second, ...hello(one.inbound.offer["token"]));
    drive(one.turn, () => ended(second));
    send(sender, ...data(1, 3, [[one.address, 16]], 16));
    drive(one.turn, () => one.log.arrivals.length === 1);
    for (const socket of [second, sender]) socket.close();
  });

  test("a stream that trickles in byte by byte is understood", () => {
    using one = receiver("tcp");
    const sender = dial(one);
    sender.setNoDelay();
    const frames = [
      ...hello(one.inbound.offer["token"]),
      words(3, 0, 0, 0, 0, 0, 0, 0),
      ...data(1, 1, [
        [one.address + 100, 7],
        [one.address + 300, 50],
      ]),
      ...data(1, 3, [[one.address + 200, 3]], 60),
    ];
    one.inbound.expect(1);
    one.inbound.accept({ nonce: NONCE });
    for (const byte of Buffer.concat(frames)) {
      send(sender, Uint8Array.of(byte));
      one.turn();
    }
    drive(one.turn, () => one.log.arrivals.length === 1);
    expect(one.log.arrivals).toEqual([{ tag: 1, totalBytes: 60 }]);
    const expected = new Uint8Array(64 * KiB);
    for (const [at, length] of [
      [100, 7],
      [300, 50],
      [200, 3],
    ] as const)
      expected.fill(0xee, at, at + length);
    expect(Buffer.compare(one.bytes, expected)).toBe(0);
    sender.close();
  });

  const high = 2 ** 40;
  test.each<[string, (address: number) => Uint8Array[]]>([
    ["a frame of an unknown type", () => [words(99, 1, 0, 0, 0, 0, 0, 0)]],
    ["a room that is not expected", (address) => data(2, 0, [[address, 16]])],
    ["a run outside the room's pages", (address) => data(1, 0, [[address + 33 * KiB, 16]])],
    [
      "a run that leaves the room's pages",
      (address) =>
        data(1, 0, [
          [address, 16],
          [address + 31 * KiB, 2 * KiB],
        ]),
    ],
    ["a run far from any page", () => data(1, 0, [[high, 16]])],
    ["more runs than a frame has", () => [words(1, 1, 1_001, 0, 16_016, 0, 0, 0)]],
    ["more bytes than a frame has", () => [words(1, 1, 1, 0, 0, 1, 0, 0)]],
    [
      "runs that do not add up",
      (address) => [words(1, 1, 1, 0, 17, 0, 0, 0), words(address >>> 0, Math.floor(address / 2 ** 32), 16, 0)],
    ],
    ["bytes without a run", () => [words(1, 1, 0, 0, 5, 0, 0, 0)]],
  ])("%s fails the pair with PROTOCOL and places no byte", (_what, frame) => {
    using one = receiver("tcp");
    const sender = join(one);
    send(sender, ...frame(one.address));
    drive(one.turn, () => one.log.error !== undefined);
    expect(one.log.error).toMatchObject({ name: "KVTransferError", code: "PROTOCOL", peer: "stranger (tcp)" });
    expect(one.bytes.every((byte) => byte === 0)).toBe(true);
    drive(one.turn, () => ended(sender));
    sender.close();
  });

  test("what a revoked room still sends is thrown away, in the middle of a frame too, until it is fenced", () => {
    using one = receiver("tcp");
    const sender = join(one);
    const [head, table, bytes] = data(1, 3, [[one.address, 8 * KiB]], 8 * KiB);
    send(sender, head!, table!, bytes!.subarray(0, 4 * KiB));
    drive(one.turn, () => one.bytes[4 * KiB - 1] === 0xee);
    expect(one.inbound.revoke(1)).toBe(true);
    one.bytes.fill(0x55);
    send(sender, bytes!.subarray(4 * KiB), ...data(1, 0, [[one.address, 100]]));
    const before = one.log.heardCount;
    drive(one.turn, () => one.log.heardCount > before);
    for (let i = 0; i < 20; i++) one.turn();
    expect([one.log.arrivals, one.log.error]).toEqual([[], undefined]);
    expect(one.bytes.every((byte) => byte === 0x55)).toBe(true);
    send(sender, words(2, 1, 0, 0, 0, 0, 0, 0), ...data(1, 0, [[one.address, 100]]));
    drive(one.turn, () => one.log.error !== undefined);
    expect(one.log.error!.code).toBe("PROTOCOL");
    sender.close();
  });

  test("an accept of another connection than the one that came is refused", () => {
    using one = receiver("tcp");
    const sender = dial(one);
    send(sender, ...hello(one.inbound.offer["token"]));
    drive(one.turn, () => !ended(sender) && (one.inbound as unknown as { taken: boolean }).taken);
    const accept = (): void => one.inbound.accept({ nonce: "f".repeat(32) });
    expect(accept).toThrow(expect.objectContaining({ code: "PROTOCOL", step: "accept" }));
    expect(() => one.inbound.accept({ nonce: 3 })).toThrow("expected accept data");
    sender.close();
  });

  test("a port where nobody listens, and one where nobody answers, are errors with a status", () => {
    const reactor = new PollReactor();
    const prefill = openTransport("tcp", { role: "prefill", reactor, connectTimeoutMs: 50 });
    const listener = TcpListener.listen({ host: "127.0.0.1", port: 0 });
    const { port } = listener.address;
    const silent = new OutboundLog();
    const outbound = prefill.openOutbound("decode", { host: "127.0.0.1", port, token: NONCE }, silent);
    drive(
      () => (reactor.turn(1), outbound.step(performance.now())),
      () => silent.error !== undefined,
    );
    expect(silent.error).toMatchObject({ code: "PEER_LOST", status: "ETIMEDOUT", step: "connect" });
    listener.close();
    const refused = new OutboundLog();
    prefill.openOutbound("decode", { host: "127.0.0.1", port, token: NONCE }, refused);
    drive(
      () => reactor.turn(1),
      () => refused.error !== undefined,
    );
    expect(refused.error).toMatchObject({ code: "NO_TRANSPORT", status: "ECONNREFUSED", step: "connect" });
    expect(() => prefill.openOutbound("decode", { host: "x" }, refused)).toThrow(
      expect.objectContaining({ code: "PROTOCOL", step: "connect" }),
    );
    prefill.close();
  });

  test("an address that cannot be listened on makes the transport unusable, and says so", () => {
    const reactor = new PollReactor();
    const context = makeContext({ role: "decode", reactor, options: { host: "192.0.2.1" } });
    expect(factories["tcp"]!(context)).toEqual({ unusable: expect.stringContaining("EADDRNOTAVAIL") });
    expect(() => factories["tcp"]!(makeContext({ role: "decode", reactor, options: { prot: 1 } }))).toThrow("prot");
  });

  /** A sender's end whose receiver is a stranger with the right answer to its hello. */
  const answered = (): { socket: TcpSocket; log: OutboundLog; turn: () => void; close: () => void } => {
    const reactor = new PollReactor();
    const prefill = openTransport("tcp", { role: "prefill", reactor });
    const listener = TcpListener.listen({ host: "127.0.0.1", port: 0 });
    const log = new OutboundLog();
    const { host, port } = listener.address;
    prefill.openOutbound("stranger", { host, port, token: NONCE }, log);
    const turn = (): void => {
      reactor.turn(1);
    };
    let socket: TcpSocket | undefined;
    drive(turn, () => (socket ??= listener.accept()) !== undefined);
    const greeting = new GreetingReader(socket!);
    let hello: { readonly value: unknown } | undefined;
    drive(turn, () => (hello ??= greeting.read()) !== undefined);
    const welcome = json({ nonce: (hello!.value as { nonce: string }).nonce });
    send(socket!, words(0x3177766b, welcome.length), welcome);
    drive(turn, () => log.isConnected);
    const close = (): void => {
      prefill.close();
      socket!.close();
      listener.close();
    };
    return { socket: socket!, log, turn, close };
  };

  test("messages that trickle in byte by byte, long ones and those between other frames, are understood", () => {
    const { socket, log, turn, close } = answered();
    const carried = (...body: readonly number[]): Uint8Array[] => [
      words(3, 0, 8 + body.length, 0),
      words(1, body.length),
      Uint8Array.from(body),
      new Uint8Array((16 - ((8 + body.length) % 16)) % 16),
    ];
    const long = Array.from({ length: 200 * KiB }, (_, at) => at & 0xff);
    for (const byte of Buffer.concat([...carried(7, 8, 9), words(2, 5, 0, 0), ...carried()])) {
      send(socket, Uint8Array.of(byte));
      turn();
    }
    send(socket, ...carried(...long), ...carried(1), ...carried(2, 3));
    drive(turn, () => log.messages.length === 5);
    expect(log.messages).toEqual([[7, 8, 9], [], long, [1], [2, 3]].map((body) => [Uint8Array.from(body)]));
    expect(log.error).toBeUndefined();
    close();
  });

  test.each<[string, Uint8Array[]]>([
    ["a frame of an unknown type", [words(9, 0, 0, 0)]],
    ["an acknowledgement for nothing", [words(1, 1, 0, 0)]],
    ["a message that is too long", [words(3, 0, 1024 * KiB + 1, 0)]],
    ["a message of an exabyte", [words(3, 0, 0, 2 ** 28)]],
    ["a message whose frames do not fill it", [words(3, 0, 12, 0), words(1, 3, 0, 0)]],
    ["a message of more frames than bytes", [words(3, 0, 4, 0), words(2 ** 30, 0, 0, 0)]],
  ])("%s from the receiver fails the pair with PROTOCOL", (_what, bytes) => {
    const { socket, log, turn, close } = answered();
    send(socket, ...bytes);
    drive(turn, () => log.error !== undefined);
    expect(log.error).toMatchObject({ name: "KVTransferError", code: "PROTOCOL", peer: "stranger (tcp)" });
    expect(log.messages).toEqual([]);
    close();
  });
});
