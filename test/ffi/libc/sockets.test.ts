import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import {
  closeDescriptor,
  IovecArena,
  isOpenDescriptor,
  Mapping,
  PollSet,
  resolveHost,
  type Socket,
  TcpListener,
  TcpSocket,
  UnixListener,
  UnixSocket,
  WOULD_BLOCK,
} from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";

function ready(socket: Socket, want: "readable" | "writable"): void {
  const set = new PollSet();
  set.add(socket.fd, want === "readable", want === "writable");
  expect(set.wait(5_000)).toBe(1);
}

function tcpPair(host: string): { listener: TcpListener; near: TcpSocket; far: TcpSocket } {
  const listener = TcpListener.listen({ host, port: 0 });
  const near = TcpSocket.connect({ host, port: listener.address.port });
  ready(listener, "readable");
  const far = listener.accept()!;
  ready(near, "writable");
  expect(near.takeError()).toBeUndefined();
  return { listener, near, far };
}

const hosts = ["127.0.0.1", "::1"].filter((host) => {
  try {
    TcpListener.listen({ host, port: 0 }).close();
    return true;
  } catch {
    return false;
  }
});

test.each(hosts)("a TCP connection over %s knows both ends and moves scattered bytes", (host) => {
  const { listener, near, far } = tcpPair(host);
  near.setNoDelay();
  near.setKeepAlive({ idleSeconds: 5, intervalSeconds: 1, probes: 3, userTimeoutMs: 10_000 });
  expect(far.peerAddress).toEqual(near.localAddress);
  expect(near.peerAddress).toEqual({ host, port: listener.address.port });
  expect(listener.accept()).toBeUndefined();

  using memory = Mapping.allocate(64 * 1024);
  for (let i = 0; i < 32 * 1024; i++) memory.bytes[i] = i * 7;
  const from = IovecArena.allocate(8);
  from.push(memory.address + 100, 1_000);
  from.push(memory.address + 5_000, 3_000);
  expect(near.sendVector(from, 0)).toBe(4_000);
  const into = IovecArena.allocate(8);
  into.push(memory.address + 40_000, 2_500);
  into.push(memory.address + 50_000, 1_500);
  let first = 0;
  while (into.bytes > 0) {
    ready(far, "readable");
    first = into.advance(first, far.receiveVector(into, first));
  }
  const sent = [...memory.bytes.subarray(100, 1_100), ...memory.bytes.subarray(5_000, 8_000)];
  const got = [...memory.bytes.subarray(40_000, 42_500), ...memory.bytes.subarray(50_000, 51_500)];
  expect(got).toEqual(sent);
  expect(far.receiveVector(into, 0)).toBe(WOULD_BLOCK);
  near.close();
  ready(far, "readable");
  expect(far.receive(memory.address, 10)).toBe(0);
  expect(() => near.send(memory.address, 1)).toThrow(expect.objectContaining({ code: "EBADF" }));
  far.close();
  listener.close();
});

test("a full connection says that it would block, and goes on once it was read", () => {
  const { listener, near, far } = tcpPair("127.0.0.1");
  using memory = Mapping.allocate(1024 * 1024);
  let sent = 0;
  for (;;) {
    const count = near.send(memory.address, memory.byteLength);
    if (count === WOULD_BLOCK) break;
    sent += count;
  }
  let received = 0;
  while (received < sent) {
    ready(far, "readable");
    received += far.receive(memory.address, memory.byteLength);
  }
  expect(received).toBe(sent);
  ready(near, "writable");
  expect(near.send(memory.address, 10)).toBe(10);
  for (const socket of [near, far, listener]) socket.close();
});

test("a refused connection is a typed error", () => {
  const listener = TcpListener.listen({ host: "127.0.0.1", port: 0 });
  const { port } = listener.address;
  listener.close();
  const socket = TcpSocket.connect({ host: "127.0.0.1", port });
  ready(socket, "writable");
  expect(socket.takeError()).toMatchObject({ name: "LibcError", code: "ECONNREFUSED" });
  socket.close();
  expect(() => TcpSocket.connect({ host: "example", port: 1 })).toThrow("digits");
});

test("host names become addresses, and an unknown one is an error", () => {
  expect(resolveHost("127.0.0.1")).toBe("127.0.0.1");
  expect(["127.0.0.1", "::1"]).toContain(resolveHost("localhost"));
  expect(() => resolveHost("no-such-host.invalid")).toThrow("no-such-host.invalid");
});

function unixPair(): { listener: UnixListener; near: UnixSocket; far: UnixSocket } {
  const name = `kvwire-test-${randomUUID()}`;
  const listener = UnixListener.listen(name);
  expect(() => UnixListener.listen(name)).toThrow(expect.objectContaining({ code: "EADDRINUSE" }));
  expect(listener.accept()).toBeUndefined();
  const near = UnixSocket.connect(name);
  return { listener, near, far: listener.accept()! };
}

test("unix packets keep their boundaries, and each side knows who the other is", () => {
  const { listener, near, far } = unixPair();
  const { pid, uid } = far.peerCredentials;
  expect([pid, uid]).toEqual([process.pid, process.getuid!()]);
  const buffer = NativeBuffer.fromString("onetwo");
  expect(near.send(buffer.address, 3)).toBe(3);
  expect(near.send(buffer.address + 3, 3)).toBe(3);
  const into = NativeBuffer.allocate(16);
  expect(far.receive(into.address, 16)).toBe(3);
  expect(far.receive(into.address, 16)).toBe(3);
  expect(new TextDecoder().decode(into.bytes.subarray(0, 3))).toBe("two");
  expect(far.receive(into.address, 16)).toBe(WOULD_BLOCK);
  near.close();
  expect(far.receive(into.address, 16)).toBe(0);
  far.close();
  listener.close();
  expect(() => UnixSocket.connect("kvwire-test-nobody")).toThrow(expect.objectContaining({ code: "ECONNREFUSED" }));
});

test("descriptors cross a unix socket with their packet, and a memfd so handed over is the same memory", () => {
  const { listener, near, far } = unixPair();
  using first = Mapping.allocate(8192, { shared: true });
  using second = Mapping.allocate(4096, { shared: true });
  second.bytes.set([4, 5, 6]);
  const text = NativeBuffer.fromString("fds");
  expect(near.sendDescriptors(text.address, 3, [first.share!.fd, second.share!.fd])).toBe(3);
  const into = NativeBuffer.allocate(2);
  const packet = far.receiveDescriptors(into.address, 2);
  expect(packet.byteLength).toBe(2);
  expect(packet.truncated).toBe(true);
  expect(packet.descriptors.length).toBe(2);
  expect(packet.descriptors).not.toContain(first.share!.fd);
  using mapped = Mapping.ofFd(packet.descriptors[1]!, 0, 4096);
  for (const fd of packet.descriptors) closeDescriptor(fd);
  expect([...mapped.bytes.subarray(0, 3)]).toEqual([4, 5, 6]);
  expect(far.receiveDescriptors(into.address, 2).byteLength).toBe(WOULD_BLOCK);
  expect(isOpenDescriptor(first.share!.fd)).toBe(true);
  expect(() => near.sendDescriptors(text.address, 3, Array<number>(254).fill(0))).toThrow(RangeError);
  for (const socket of [near, far, listener]) socket.close();
});
