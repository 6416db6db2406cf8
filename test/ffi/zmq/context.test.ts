import { expect, test } from "bun:test";
import { join } from "node:path";
import { ZmqContext, ZmqError } from "../../../ffi/zmq/index.ts";
import { openFds, receiveWithin, texts, until } from "./support.ts";

/** Reserved for documentation: a connection to it never stands. */
const unreachable = "tcp://192.0.2.1:9";

test("closing a context closes its sockets first, twice is once, and it then makes no more", () => {
  const context = ZmqContext.create();
  const sockets = (["router", "dealer", "push", "pull", "pair"] as const).map((type) => context.socket(type));
  context.close();
  context.close();
  expect(context.closed).toBe(true);
  expect(sockets.map((socket) => socket.closed)).toEqual([true, true, true, true, true]);
  for (const socket of sockets) socket.close();
  expect(() => context.socket("pull")).toThrow(expect.objectContaining({ name: "ZmqError", code: "ETERM" }));
});

test("leaving the scope of using closes", () => {
  let kept: ZmqContext | undefined;
  {
    using context = ZmqContext.create({ ioThreads: 2, ipv6: true });
    kept = context;
    using socket = context.socket("pull");
    expect(socket.closed).toBe(false);
  }
  expect(kept.closed).toBe(true);
});

test("a socket more than maxSockets, and an option out of range, are errors", () => {
  using context = ZmqContext.create({ maxSockets: 2 });
  const sockets: unknown[] = [];
  const fill = (): void => until(() => sockets.push(context.socket("pull")) > 10);
  expect(fill).toThrow(expect.objectContaining({ code: "EMFILE", call: "zmq_socket" }));
  expect(sockets.length).toBeLessThanOrEqual(2);
  expect(() => ZmqContext.create({ ioThreads: -1 })).toThrow(ZmqError);
  expect(() => ZmqContext.create({ maxSockets: 1.5 })).toThrow("zmq_ctx_set MAX_SOCKETS 1.5");
});

test("unsent messages do not keep close() waiting", () => {
  const context = ZmqContext.create();
  const dealer = context.socket("dealer");
  dealer.connect(unreachable);
  for (let count = 0; count < 100; count++) expect(dealer.send([new Uint8Array(10_000)])).toBe(true);
  const start = performance.now();
  context.close();
  expect(performance.now() - start).toBeLessThan(2000);
});

test("with linger close() waits for unsent messages, so long and no longer", () => {
  const context = ZmqContext.create();
  const dealer = context.socket("dealer", { linger: 300 });
  dealer.connect(unreachable);
  dealer.send(["late"]);
  const start = performance.now();
  context.close();
  const waited = performance.now() - start;
  expect(waited).toBeGreaterThan(250);
  expect(waited).toBeLessThan(5000);
});

test("with linger a message sent just before close() arrives", () => {
  using receiving = ZmqContext.create();
  const pull = receiving.socket("pull");
  pull.bind("tcp://127.0.0.1:0");
  const sending = ZmqContext.create();
  const push = sending.socket("push", { linger: 10_000 });
  push.connect(pull.lastEndpoint);
  push.send(["last words", new Uint8Array(1 << 20)]);
  sending.close();
  expect(texts(receiveWithin(pull)?.slice(0, 1))).toEqual(["last words"]);
});

test("a closed context leaves no file descriptor open", () => {
  ZmqContext.create().close();
  const before = openFds();
  const context = ZmqContext.create();
  const pull = context.socket("pull");
  pull.bind("tcp://127.0.0.1:0");
  const push = context.socket("push");
  push.connect(pull.lastEndpoint);
  push.send(["x"]);
  receiveWithin(pull);
  expect(openFds()).toBeGreaterThan(before);
  context.close();
  expect(openFds()).toBe(before);
});

test("10,000 sockets opened and closed leave no file descriptor and little memory behind", async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "cycles.ts"), "10000"], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const report = (await child.stdout.text()).trim();
  expect(report).toMatch(/^\{/);
  const { fds, megabytes } = JSON.parse(report) as { fds: number; megabytes: number };
  expect(fds).toBe(0);
  expect(megabytes).toBeLessThan(64);
  expect(await child.exited).toBe(0);
}, 30_000);
