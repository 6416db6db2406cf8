import { constants } from "node:fs";
import { NativeBuffer } from "../runtime/index.ts";
import { lastErrno, libc } from "./abi/index.ts";
import { VerbsError } from "./errors.ts";

const F_GETFL = 3;
const F_SETFL = 4;
const POLLIN = 1;
const EINTR = 4;

/** Event descriptors are read only when something waits, so a read must never block the thread. */
export function setNonBlocking(fd: number): void {
  const { fcntl } = libc();
  const flags = fcntl(fd, F_GETFL, 0);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | constants.O_NONBLOCK) < 0) throw new VerbsError("fcntl", lastErrno());
}

/** Blocks this thread until the descriptor is readable, true, or the time is over, false. */
export function waitReadable(fd: number, timeoutMs: number): boolean {
  const request = NativeBuffer.allocate(8);
  request.i32[0] = fd;
  request.i32[1] = POLLIN;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = Math.max(0, Math.ceil(deadline - performance.now()));
    const ready = libc().poll(request.address, 1, left);
    if (ready > 0) return true;
    if (ready === 0) return false;
    const errno = lastErrno();
    if (errno !== EINTR) throw new VerbsError("poll", errno);
  }
}
