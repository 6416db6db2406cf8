import { expect, test } from "bun:test";
import { ZmqContext, ZmqPoller } from "../../../ffi/zmq/index.ts";

test("a dealer's multi-frame message reaches a router whole, behind the routing id", () => {
  using context = ZmqContext.create();
  const router = context.socket("router");
  router.bind("tcp://127.0.0.1:0");
  const dealer = context.socket("dealer", { routingId: "me" });
  dealer.connect(router.lastEndpoint);
  expect(dealer.send(["héllo", "", new Uint8Array([0, 1, 255])])).toBe(true);
  const poller = new ZmqPoller();
  poller.add(router, { readable: true });
  expect(poller.wait(5000)).toBe(1);
  expect(poller.readable(router)).toBe(true);
  expect(router.receive()?.map((frame) => Buffer.from(frame).toString("hex"))).toEqual([
    "6d65",
    "68c3a96c6c6f",
    "",
    "0001ff",
  ]);
  expect(router.receive()).toBeUndefined();
});
