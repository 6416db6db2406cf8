import { describe, expect, test } from "bun:test";
import { UnixSocket } from "../../../ffi/libc/index.ts";
import { factories, makeContext, makePool, openTransport } from "./support/context.ts";
import { drive, OutboundLog, TestPair } from "./support/pair.ts";
import { emptyPlan, planOf } from "./support/plans.ts";
import { PollReactor } from "./support/poll-reactor.ts";
import { ended, into, json, NONCE, type Receiver, receiver, send, words } from "./support/stranger.ts";

const KiB = 1024;

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
