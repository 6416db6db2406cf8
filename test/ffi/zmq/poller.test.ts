import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLibrary } from "../../../ffi/runtime/index.ts";
import { ZmqContext, ZmqPoller, type ZmqSocket } from "../../../ffi/zmq/index.ts";
import { texts } from "./support.ts";

const libc = openLibrary({
  name: "libc",
  candidates: ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"],
  symbols: { eventfd: { parameters: ["u32", "i32"], result: "i32" } },
});

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kvwire-zmq-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A pipe whose both ends are one descriptor. */
function fifo(name: string): number {
  const path = join(folder, name);
  Bun.spawnSync(["mkfifo", path]);
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
}

function pair(context: ZmqContext): [ZmqSocket, ZmqSocket] {
  const receiver = context.socket("pull");
  receiver.bind("tcp://127.0.0.1:0");
  const sender = context.socket("push");
  sender.connect(receiver.lastEndpoint);
  return [sender, receiver];
}

test("sockets, an eventfd and a pipe are told apart, and readiness lasts until it is used up", () => {
  using context = ZmqContext.create();
  const [sender, receiver] = pair(context);
  const [event, pipe] = [libc.symbols.eventfd(0, 0), fifo("apart")];
  const poller = new ZmqPoller();
  poller.add(receiver, { readable: true });
  poller.addFd(event, { readable: true });
  poller.addFd(pipe, { readable: true });
  const ready = (): boolean[] => [receiver, event, pipe].map((handle) => poller.readable(handle));

  expect(poller.wait(0)).toBe(0);
  expect(ready()).toEqual([false, false, false]);
  writeSync(pipe, "x");
  expect([poller.wait(1000), poller.wait(1000)]).toEqual([1, 1]);
  expect(ready()).toEqual([false, false, true]);
  writeSync(event, new Uint8Array(new BigUint64Array([1n]).buffer));
  expect(poller.wait(1000)).toBe(2);
  expect(ready()).toEqual([false, true, true]);
  readSync(pipe, new Uint8Array(1));
  readSync(event, new Uint8Array(8));
  sender.send(["hello"]);
  expect(poller.wait(10_000)).toBe(1);
  expect(ready()).toEqual([true, false, false]);
  expect(texts(receiver.receive())).toEqual(["hello"]);
  expect(poller.wait(0)).toBe(0);
  for (const fd of [event, pipe]) closeSync(fd);
});

test("writability is reported where it was asked for", () => {
  using context = ZmqContext.create();
  const [sender, receiver] = pair(context);
  const pipe = fifo("writable");
  const poller = new ZmqPoller();
  poller.add(sender, { writable: true });
  poller.add(receiver, { readable: true });
  poller.addFd(pipe, { readable: true, writable: true });
  expect(poller.wait(1000)).toBe(2);
  expect([poller.writable(sender), poller.readable(sender)]).toEqual([true, false]);
  expect([poller.writable(pipe), poller.readable(pipe)]).toEqual([true, false]);
  poller.modify(sender, {});
  poller.modify(pipe, { readable: true });
  expect(poller.wait(0)).toBe(0);
  expect([poller.writable(sender), poller.writable(pipe)]).toEqual([false, false]);
  closeSync(pipe);
});

test("with any handle removed the others keep their place, also beyond the first allocation", () => {
  using context = ZmqContext.create();
  const events = Array.from({ length: 40 }, () => libc.symbols.eventfd(1, 0));
  const [sender, receiver] = pair(context);
  const poller = new ZmqPoller();
  for (const event of events.slice(0, 20)) poller.addFd(event, { readable: true });
  poller.add(receiver, { readable: true });
  for (const event of events.slice(20)) poller.addFd(event, { readable: true });
  sender.send(["x"]);
  poller.modify(receiver, {});
  expect([poller.size, poller.wait(1000)]).toEqual([41, 40]);
  const removed = events.filter((_, index) => index % 3 !== 0);
  expect(removed.map((event) => poller.remove(event))).toEqual(removed.map(() => true));
  expect(poller.remove(removed[0]!)).toBe(false);
  poller.modify(receiver, { readable: true });
  for (const event of events.slice(0, 10)) readSync(event, new Uint8Array(8));
  const expected = events.filter((event, index) => index % 3 === 0 && index >= 10);
  while (!poller.readable(receiver)) expect(poller.wait(10_000)).toBeGreaterThan(0);
  expect(events.filter((event) => poller.readable(event))).toEqual(expected);
  poller.remove(receiver);
  expect(poller.wait(0)).toBe(expected.length);
  for (const event of events) closeSync(event);
});

test("a descriptor that is not open has failed", () => {
  const pipe = fifo("closed");
  const poller = new ZmqPoller();
  poller.addFd(pipe, { readable: true });
  expect([poller.wait(0), poller.failed(pipe)]).toEqual([0, false]);
  closeSync(pipe);
  expect([poller.wait(1000), poller.failed(pipe)]).toEqual([1, true]);
});

describe("waiting", () => {
  test("lasts as long as was asked for, fractions rounded up, and not much longer", () => {
    using context = ZmqContext.create();
    const poller = new ZmqPoller();
    poller.add(context.socket("pull"), { readable: true });
    for (const timeout of [0.2, 1.5, 30]) {
      const start = performance.now();
      expect(poller.wait(timeout)).toBe(0);
      const waited = performance.now() - start;
      expect(waited).toBeGreaterThanOrEqual(timeout * 0.95);
      expect(waited).toBeLessThan(timeout + 1000);
    }
  });

  test("an empty poller can wait a while, but not for ever", () => {
    const poller = new ZmqPoller();
    expect([poller.wait(0), poller.wait(2)]).toEqual([0, 0]);
    expect(() => poller.wait(-1)).toThrow(expect.objectContaining({ code: "EINVAL" }));
    expect(() => poller.wait(Infinity)).toThrow(expect.objectContaining({ code: "EINVAL" }));
  });

  test("a deadline already passed is a mistake that shows", () => {
    const poller = new ZmqPoller();
    expect(() => poller.wait(-0.5)).toThrow("got -0.5");
    expect(() => poller.wait(NaN)).toThrow("got NaN");
  });

  test("a signal in the middle does not shorten it", async () => {
    const code = `
      import { ZmqContext, ZmqPoller } from ${JSON.stringify(join(import.meta.dir, "../../../ffi/zmq/index.ts"))};
      process.on("SIGUSR2", () => {});
      using context = ZmqContext.create();
      const poller = new ZmqPoller();
      poller.add(context.socket("pull"), { readable: true });
      console.log("waiting");
      const start = performance.now();
      console.log(JSON.stringify([poller.wait(700), performance.now() - start]));
    `;
    const child = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe", stderr: "inherit" });
    let output = "";
    for await (const chunk of child.stdout) {
      const first = output === "";
      output += new TextDecoder().decode(chunk);
      if (first) for (let count = 0; count < 5; count++) child.kill("SIGUSR2");
    }
    const [ready, waited] = JSON.parse(output.split("\n")[1] ?? "") as [number, number];
    expect(ready).toBe(0);
    expect(waited).toBeGreaterThan(690);
    expect(await child.exited).toBe(0);
  });

  test("in a Worker ends with a message from another thread", async () => {
    using context = ZmqContext.create();
    const worker = new Worker(new URL("poll-worker.ts", import.meta.url));
    const inbox: MessageEvent[] = [];
    let wake = (): void => {};
    worker.addEventListener("message", (event: MessageEvent) => {
      inbox.push(event);
      wake();
    });
    const next = async (): Promise<unknown> => {
      while (inbox.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return inbox.shift()!.data;
    };
    const push = context.socket("push");
    push.connect((await next()) as string);
    for (const word of ["one", "two", "stop"]) {
      push.send([word, ""]);
      expect(await next()).toEqual([word, ""]);
    }
    expect(await next()).toBe("closed");
    await new Promise((resolve) => {
      worker.addEventListener("close", resolve);
      worker.unref();
    });
  }, 20_000);
});

test("a closed socket is refused, and one closed while it is in makes wait throw until it is removed", () => {
  using context = ZmqContext.create();
  const [sender, receiver] = pair(context);
  const poller = new ZmqPoller();
  poller.add(receiver, { readable: true });
  receiver.close();
  expect(() => poller.wait(0)).toThrow(expect.objectContaining({ code: "ENOTSOCK", call: "zmq_poll" }));
  expect(poller.remove(receiver)).toBe(true);
  expect(poller.wait(0)).toBe(0);
  sender.close();
  expect(() => poller.add(sender, { readable: true })).toThrow(expect.objectContaining({ code: "ENOTSOCK" }));
});

test("a handle can be added once, modified only when it is in, and is not ready when it is not", () => {
  using context = ZmqContext.create();
  const socket = context.socket("pull");
  const poller = new ZmqPoller();
  expect(() => poller.modify(socket, { readable: true })).toThrow(expect.objectContaining({ code: "ENOENT" }));
  poller.add(socket, { readable: true });
  expect(() => poller.add(socket, { readable: true })).toThrow(expect.objectContaining({ code: "EEXIST" }));
  expect(() => poller.addFd(-1, { readable: true })).toThrow(expect.objectContaining({ code: "EBADF" }));
  expect([poller.readable(0), poller.writable(0), poller.failed(0)]).toEqual([false, false, false]);
});
