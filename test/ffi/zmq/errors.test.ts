import { describe, expect, test } from "bun:test";
import { ZmqContext } from "../../../ffi/zmq/index.ts";
import { caught } from "./support.ts";

const loopback = "tcp://127.0.0.1:0";
/** The discard port: nothing listens there, and a connection that never stands is what the test needs. */
const nowhere = "tcp://127.0.0.1:9";

describe("errors name the call, the errno and the subject", () => {
  type Case = readonly [string, (context: ZmqContext) => unknown, string, string];
  const cases: readonly Case[] = [
    ["a port in use", (context) => bindTwice(context), "EADDRINUSE", "zmq_bind tcp://127.0.0.1:"],
    [
      "an address of another machine",
      (c) => c.socket("pull").bind("tcp://192.0.2.1:0"),
      "EADDRNOTAVAIL",
      "zmq_bind tcp://192",
    ],
    ["an endpoint without a scheme", (c) => c.socket("push").connect("localhost"), "EINVAL", "zmq_connect localhost"],
    ["an unknown scheme", (c) => c.socket("push").connect("dove://x"), "EPROTONOSUPPORT", "zmq_connect dove://x"],
    ["an endpoint with a NUL", (c) => c.socket("push").connect(`${nowhere}\0x`), "EINVAL", "zmq_connect tcp://"],
    ["unbinding what was not bound", (c) => c.socket("pull").unbind(nowhere), "ENOENT", "zmq_unbind"],
    ["disconnecting what was not connected", (c) => c.socket("push").disconnect(nowhere), "ENOENT", "zmq_disconnect"],
    ["a message of no frames", (c) => c.socket("push").send([]), "EINVAL", "zmq_send"],
    ["sending on a pull", (c) => c.socket("pull").send(["x"]), "ENOTSUP", "zmq_send"],
    ["receiving on a push", (c) => c.socket("push").receive(), "ENOTSUP", "zmq_msg_recv"],
    ["an empty routing id", (c) => c.socket("dealer", { routingId: "" }), "EINVAL", "ROUTING_ID of 0 bytes"],
    ["a very long routing id", (c) => c.socket("dealer", { routingId: "x".repeat(2000) }), "EINVAL", "ROUTING_ID"],
    ["an option that is not an integer", (c) => c.socket("pull", { linger: 0.5 }), "EINVAL", "LINGER"],
    ["an option out of range", (c) => c.socket("pull", { sendHighWater: -5 }), "EINVAL", "SNDHWM -5"],
  ];
  test.each(cases)("%s", (_, action, code, text) => {
    using context = ZmqContext.create();
    const error = caught(() => action(context));
    expect(error.code).toBe(code);
    expect(error.message).toContain(text);
    expect(error.message).toContain(`(${code})`);
  });
});

test("a closed socket refuses every use, closes again without complaint and says that it is closed", () => {
  using context = ZmqContext.create();
  const dealer = context.socket("dealer");
  expect(dealer.closed).toBe(false);
  dealer.close();
  dealer.close();
  expect([dealer.closed, dealer.unsafeHandle]).toEqual([true, 0]);
  const uses = [
    () => dealer.send(["x"]),
    () => dealer.receive(),
    () => dealer.bind(loopback),
    () => dealer.connect(nowhere),
    () => dealer.unbind(nowhere),
    () => dealer.disconnect(nowhere),
    () => dealer.lastEndpoint,
    () => dealer.fd,
    () => dealer.events,
  ];
  expect(uses.map((use) => caught(use).code)).toEqual(uses.map(() => "ENOTSOCK"));
});

function bindTwice(context: ZmqContext): void {
  const first = context.socket("router");
  first.bind(loopback);
  context.socket("router").bind(first.lastEndpoint);
}
