import { ZmqError, ZmqPoller, type ZmqSocket } from "../../../ffi/zmq/index.ts";

/** The next message, waited for; undefined after `timeoutMs`. */
export function receiveWithin(socket: ZmqSocket, timeoutMs = 10_000): Uint8Array[] | undefined {
  const poller = new ZmqPoller();
  poller.add(socket, { readable: true });
  poller.wait(timeoutMs);
  return socket.receive();
}

/** The frames as text, for short expectations. */
export function texts(frames: readonly Uint8Array[] | undefined): string[] | undefined {
  return frames?.map((frame) => new TextDecoder().decode(frame));
}

/** Looks until `condition` holds or ten seconds have passed; `pause` waits for whatever may change it. */
export function until(condition: () => boolean, pause: () => void = () => {}): void {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${condition}`);
    pause();
  }
}

export function openFds(): number {
  return [...new Bun.Glob("*").scanSync({ cwd: "/proc/self/fd", onlyFiles: false })].length;
}

/** The ZmqError that the action throws. */
export function caught(action: () => unknown): ZmqError {
  try {
    action();
  } catch (error) {
    if (error instanceof ZmqError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** Bytes that tell their place, so that a shifted or stale frame shows. */
export function pattern(size: number): Uint8Array {
  return new Uint8Array(size).map((_, index) => (index * 31 + (index >>> 8) * 7 + size) & 0xff);
}
