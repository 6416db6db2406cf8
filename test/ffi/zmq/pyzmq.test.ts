import { describe, expect, test } from "bun:test";
import {
  contextOptions,
  pollEvents,
  sendFlags,
  socketOptions,
  socketTypes,
  zmqErrorNumbers,
} from "../../../ffi/zmq/constants.ts";
import { curveKeypair, ZmqContext } from "../../../ffi/zmq/index.ts";
import { Peer, pyzmqMissing, pythonJson } from "./peer.ts";
import { pattern, receiveWithin, texts } from "./support.ts";

const missing = pyzmqMissing();

const loopback = "tcp://127.0.0.1:0";
const anyPort = "tcp://127.0.0.1:*";

describe.skipIf(missing !== undefined)(`against pyzmq${missing ? ` (${missing})` : ""}`, () => {
  test("every constant has the number that pyzmq knows it by", () => {
    const types = Object.fromEntries(Object.entries(socketTypes).map(([name, number]) => [name.toUpperCase(), number]));
    const ours = { ...types, ...contextOptions, ...socketOptions, ...sendFlags, ...pollEvents, ...zmqErrorNumbers };
    const names = JSON.stringify(Object.keys(ours));
    const code = `import json, zmq; print(json.dumps({n: int(getattr(zmq, n)) for n in ${names}}))`;
    expect(pythonJson(code)).toEqual(ours);
  });

  test("a dealer and a pyzmq router exchange frames from nothing to 16 MiB", async () => {
    await using peer = await Peer.start({ type: "ROUTER", bind: anyPort });
    using context = ZmqContext.create();
    const dealer = context.socket("dealer");
    dealer.connect(peer.endpoint);
    for (const size of [0, 1, 33, 34, 255, 256, 8192, 65_535, 65_536, 65_537, 1 << 20, 16 << 20]) {
      const frame = pattern(size);
      expect(dealer.send(["", frame, "", frame.subarray(size >>> 1)])).toBe(true);
      const [empty, whole, between, half, ...rest] = receiveWithin(dealer) ?? [];
      expect([empty?.length, between?.length, rest.length]).toEqual([0, 0, 0]);
      expect(Buffer.compare(whole!, frame)).toBe(0);
      expect(Buffer.compare(half!, frame.subarray(size >>> 1))).toBe(0);
    }
  });

  test("long and short strings arrive as UTF-8", async () => {
    await using peer = await Peer.start({ type: "ROUTER", bind: anyPort });
    using context = ZmqContext.create();
    const dealer = context.socket("dealer");
    dealer.connect(peer.endpoint);
    const message = ["", "naïve", "日本語".repeat(3000), "🙂".repeat(30_000)];
    dealer.send(message);
    expect(texts(receiveWithin(dealer))).toEqual(message);
  });

  test("a router learns a pyzmq dealer by its greeting and answers it", async () => {
    using context = ZmqContext.create();
    const router = context.socket("router", { routerMandatory: true });
    router.bind(loopback);
    const connect = router.lastEndpoint;
    await using _peer = await Peer.start({ type: "DEALER", connect, routing_id: "py", greeting: ["", "hi"] });
    expect(texts(receiveWithin(router))).toEqual(["py", "", "hi"]);
    expect(router.send(["py", "one", "", "two"])).toBe(true);
    expect(texts(receiveWithin(router))).toEqual(["py", "one", "", "two"]);
  });

  test("a dealer speaks CURVE with a pyzmq router that holds the expected key", async () => {
    const [server, client] = [curveKeypair(), curveKeypair()];
    await using peer = await Peer.start({ type: "ROUTER", bind: anyPort, curve: { secret: server.secretKey } });
    using context = ZmqContext.create();
    const dealer = context.socket("dealer", { curve: { serverKey: server.publicKey, ...client } });
    dealer.connect(peer.endpoint);
    const frame = pattern(200_000);
    dealer.send(["sealed", frame]);
    const [text, echo] = receiveWithin(dealer) ?? [];
    expect(texts([text!])).toEqual(["sealed"]);
    expect(Buffer.compare(echo!, frame)).toBe(0);
  });

  test("a router speaks CURVE with a pyzmq dealer", async () => {
    const [server, client] = [curveKeypair(), curveKeypair()];
    using context = ZmqContext.create();
    const router = context.socket("router", { curve: { serverSecretKey: server.secretKey } });
    router.bind(loopback);
    await using _peer = await Peer.start({
      type: "DEALER",
      connect: router.lastEndpoint,
      routing_id: "py",
      greeting: ["sealed"],
      curve: { server: server.publicKey, public: client.publicKey, secret: client.secretKey },
    });
    expect(texts(receiveWithin(router))).toEqual(["py", "sealed"]);
    router.send(["py", "back"]);
    expect(texts(receiveWithin(router))).toEqual(["py", "back"]);
  });

  test("a dealer with a wrong server key, or none, gets nothing through to a pyzmq router", async () => {
    const [server, client, other] = [curveKeypair(), curveKeypair(), curveKeypair()];
    const curve = { secret: server.secretKey };
    await using peer = await Peer.start({ type: "ROUTER", bind: anyPort, curve, monitor: true });
    using context = ZmqContext.create();
    const wrong = context.socket("dealer", { curve: { serverKey: other.publicKey, ...client } });
    wrong.connect(peer.endpoint);
    wrong.send(["wrong"]);
    await peer.event("HANDSHAKE_FAILED");
    wrong.close();
    const plain = context.socket("dealer");
    plain.connect(peer.endpoint);
    plain.send(["plain"]);
    await peer.event("HANDSHAKE_FAILED");
    expect(plain.receive()).toBeUndefined();
    const right = context.socket("dealer", { curve: { serverKey: server.publicKey, ...client } });
    right.connect(peer.endpoint);
    right.send(["right"]);
    expect(texts(receiveWithin(right))).toEqual(["right"]);
    expect(plain.receive()).toBeUndefined();
  });

  test("a router lets no pyzmq dealer with a wrong server key through", async () => {
    const [server, client, other] = [curveKeypair(), curveKeypair(), curveKeypair()];
    using context = ZmqContext.create();
    const router = context.socket("router", { curve: { serverSecretKey: server.secretKey } });
    router.bind(loopback);
    const keys = { public: client.publicKey, secret: client.secretKey };
    const wrong = { server: other.publicKey, ...keys };
    const options = { type: "DEALER", connect: router.lastEndpoint, greeting: ["hi"], monitor: true } as const;
    await using refused = await Peer.start({ ...options, routing_id: "wrong", curve: wrong });
    await refused.event("HANDSHAKE_FAILED");
    await using _admitted = await Peer.start({
      ...options,
      routing_id: "right",
      curve: { server: server.publicKey, ...keys },
    });
    expect(texts(receiveWithin(router))).toEqual(["right", "hi"]);
    expect(router.receive()).toBeUndefined();
  });

  test("a dealer finds a router again that was killed and started anew on its port", async () => {
    using context = ZmqContext.create();
    const dealer = context.socket("dealer", { reconnectInterval: 10, reconnectIntervalMax: 50 });
    const first = await Peer.start({ type: "ROUTER", bind: anyPort });
    dealer.connect(first.endpoint);
    dealer.send(["before"]);
    expect(texts(receiveWithin(dealer))).toEqual(["before"]);
    await first.kill();
    await using _second = await Peer.start({ type: "ROUTER", bind: first.endpoint });
    dealer.send(["after"]);
    expect(texts(receiveWithin(dealer))).toEqual(["after"]);
  });

  test("bytes stay right while garbage is collected between and around the calls", async () => {
    await using peer = await Peer.start({ type: "ROUTER", bind: anyPort });
    const child = Bun.spawn([process.execPath, `${import.meta.dir}/collected.child.ts`, peer.endpoint]);
    const [wrong, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
    expect(code).toBe(0);
    expect(wrong).toBe("0\n");
  });
});
