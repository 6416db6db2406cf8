import { describe, expect, test } from "bun:test";
import {
  closeDescriptor,
  duplicateDescriptor,
  TcpListener,
  TcpSocket,
  UnixSocket,
  WOULD_BLOCK,
} from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import type { InboundEnd } from "../../../lib/transports/transport.ts";
import { makeContext, makePool, factories, openTransport } from "./support/context.ts";
import { drive, InboundLog, OutboundLog, TestPair } from "./support/pair.ts";
import { emptyPlan, planOf } from "./support/plans.ts";
import { PollReactor } from "./support/poll-reactor.ts";

const KiB = 1024;
const NONCE = "0123456789abcdef0123456789abcdef";
const into = NativeBuffer.allocate(64 * KiB);

interface Receiver {
  readonly inbound: InboundEnd;
  readonly log: InboundLog;
  readonly bytes: Uint8Array;
  readonly address: number;
  readonly turn: () => void;
  [Symbol.dispose](): void;
}

/** A decode end that lets room tag 1 write to the first 32 KiB of 64. */
function receiver(name: string): Receiver {
  const reactor = new PollReactor();
  const { mapping, buffer } = makePool(64 * KiB);
  const mayWrite = (tag: number, address: number, byteLength: number): boolean =>
    tag === 1 && address >= mapping.address && address + byteLength <= mapping.address + 32 * KiB;
  const transport = openTransport(name, { role: "decode", reactor, buffers: [buffer], mayWrite });
  const log = new InboundLog();
  const inbound = transport.openInbound("stranger", log);
  return {
    inbound,
    log,
    bytes: mapping.bytes,
    address: mapping.address,
    turn: () => reactor.turn(1),
    [Symbol.dispose]() {
      transport.close();
      mapping.close();
    },
  };
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

function send(socket: TcpSocket | UnixSocket, ...parts: Uint8Array[]): void {
  const bytes = Buffer.concat(parts);
  const buffer = NativeBuffer.allocate(bytes.length);
  buffer.bytes.set(bytes);
  expect(socket.send(buffer.address, buffer.byteLength)).toBe(bytes.length);
}

/** Whether the other end has closed, by now. */
function ended(socket: TcpSocket | UnixSocket): boolean {
  try {
    for (;;) {
      const got = socket.receive(into.address, into.byteLength);
      if (got === WOULD_BLOCK) return false;
      if (got === 0) return true;
    }
  } catch {
    return true;
  }
}

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
    const text = json({ version: 1, token, nonce: NONCE });
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
});

describe.each(["shm", "cma"])("%s", (name: string) => {
  const hello = (token: unknown, transport: string = name): Uint8Array[] => [
    words(1),
    json({ version: 1, transport, token, nonce: NONCE }),
  ];
  const dial = ({ inbound }: Receiver): UnixSocket => UnixSocket.connect(inbound.offer["name"] as string);

  test.each([
    ["a wrong token", hello("f".repeat(32))],
    ["another transport's hello", hello(NONCE, "tcp")],
    ["garbage", [new Uint8Array(100).fill(0x41)]],
    ["a frame before the hello", [words(5, 1, 0, 0)]],
    ["a packet longer than any", [new Uint8Array(100 * KiB)]],
  ])("%s is shown the door, and the right sender still comes in", (_what, bytes) => {
    using one = receiver(name);
    const stranger = dial(one);
    send(stranger, ...bytes);
    drive(one.turn, () => ended(stranger));
    expect([one.log.error, one.inbound.unfenced]).toEqual([undefined, 0]);
    const sender = dial(one);
    send(sender, ...hello(one.inbound.offer["token"]));
    drive(one.turn, () => sender.receive(into.address, into.byteLength) > 0);
    expect(into.u32[0]).toBe(2);
    for (const socket of [stranger, sender]) socket.close();
  });

  test.each<[string, Uint8Array]>([
    ["a notification for a room that is not expected", words(5, 2, 0, 0)],
    ["a frame of an unknown type", words(77, 0, 0, 0)],
    ["a packet that is no frame", new Uint8Array(33)],
    ["a second probe", words(3, 0, 0, 0)],
  ])("%s has the sender leave, and only its leaving is the fence", (_what, packet) => {
    using one = receiver(name);
    const sender = dial(one);
    send(sender, ...hello(one.inbound.offer["token"]));
    one.inbound.accept({ nonce: NONCE });
    send(sender, words(3, 0, 0, 0));
    drive(one.turn, () => one.log.isConnected);
    one.inbound.expect(1);
    send(sender, packet);
    drive(one.turn, () => ended(sender));
    for (let i = 0; i < 10; i++) one.turn();
    expect(one.log.error).toBeUndefined();
    expect([one.inbound.revoke(1), one.inbound.unfenced]).toEqual([false, 1]);
    sender.close();
    drive(one.turn, () => one.log.error !== undefined);
    expect(one.log.error).toMatchObject({ code: "PROTOCOL", peer: `stranger (${name})` });
    expect(one.inbound.unfenced).toBe(0);
  });

  test("an offer of another host is unusable here", () => {
    const prefill = openTransport(name, { role: "prefill", reactor: new PollReactor() });
    const offer = { name: "kvwire-test-nobody", token: NONCE };
    expect(() => prefill.openOutbound("decode", offer, new OutboundLog())).toThrow(
      expect.objectContaining({ code: "NO_TRANSPORT", status: "ECONNREFUSED", step: "connect" }),
    );
    prefill.close();
  });

  test("a receiver that reads no more holds back notifications, and gets every one when it reads again", () => {
    const { mapping, buffer } = makePool(64 * KiB);
    using pair = new TestPair(name, { decode: { buffers: [buffer] } }).connect();
    const rooms = 5_000;
    for (let tag = 0; tag < rooms; tag++) {
      pair.inbound.expect(tag);
      pair.outbound.write({ tag, plan: emptyPlan, last: { aux: emptyPlan, totalBytes: tag } });
    }
    // Only the sender runs.
    let steps = 0;
    while (pair.outbound.step(performance.now() + 1) && steps++ < 1_000);
    const sent = pair.outboundLog.writtenBatches.length;
    expect(sent).toBeLessThan(rooms);
    pair.until(() => pair.inboundLog.arrivals.length === rooms);
    expect(pair.inboundLog.arrivals.map(({ tag }) => tag)).toEqual(Array.from({ length: rooms }, (_, tag) => tag));
    expect(pair.outboundLog.writtenBatches.length).toBe(rooms);
    mapping.close();
  });
});

test("shm is unusable for a decode whose pool is private memory, and usable for such a prefill", () => {
  const { mapping, buffer } = makePool(4 * KiB, { shared: false });
  const reactor = new PollReactor();
  expect(factories["shm"]!(makeContext({ role: "decode", reactor, buffers: [buffer] }))).toEqual({
    unusable: expect.stringContaining("buffer 0 of 1"),
  });
  expect(factories["shm"]!(makeContext({ role: "prefill", reactor, buffers: [buffer] }))).toHaveProperty("name", "shm");
  mapping.close();
});

test("shm finds every buffer, in many memfds, several of them in one, at offsets", () => {
  const pools = Array.from({ length: 300 }, () => makePool(12 * KiB, { hugePages: false }));
  const buffers = pools.flatMap(({ buffer: { address, share } }) => [
    { address: address + 5_000, byteLength: 1_000, share: { fd: share!.fd, offset: 5_000 } },
    { address, byteLength: 100, share: share! },
  ]);
  using pair = new TestPair("shm", { decode: { buffers } }).connect();
  const { mapping: source } = makePool(4 * KiB, { shared: false });
  const values = new Uint16Array(source.buffer);
  for (let i = 0; i < 600; i++) values[i] = i + 1;
  pair.inbound.expect(1);
  const bases = [...pair.outbound.destinationBases!];
  expect(bases.length).toBe(600);
  const plan = planOf(
    bases.map((base, i) => ({ source: source.address + 2 * i, destination: base + 10, byteLength: 2 })),
  );
  pair.outbound.write({ tag: 1, plan, last: { aux: emptyPlan, totalBytes: plan.bytes } });
  pair.until(() => pair.inboundLog.arrivals.length === 1);
  for (const [i, { mapping }] of pools.entries()) {
    const view = new DataView(mapping.buffer);
    expect([view.getUint16(5_010, true), view.getUint16(10, true)]).toEqual([2 * i + 1, 2 * i + 2]);
    mapping.close();
  }
  source.close();
});
