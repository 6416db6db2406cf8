import { constants } from "node:os";
import { Fcntl, O_NONBLOCK } from "./constants.ts";
import { checked, lastErrno, LibcError } from "./errors.ts";
import { libc } from "./library.ts";

/** What the non-blocking calls give instead of a count where nothing can be moved now: EAGAIN. */
export const WOULD_BLOCK = -1;

/**
 * Closes `fd` (close(2)). EINTR counts as done: on Linux the descriptor is gone by then, and trying again could close
 * one that another thread has just been given.
 */
export function closeDescriptor(fd: number): void {
  if (libc.close(fd) === -1) {
    const errno = lastErrno();
    if (errno !== constants.errno.EINTR) throw new LibcError("close", errno, `descriptor ${fd}`);
  }
}

/** A second descriptor of the same open file, closed on exec. */
export function duplicateDescriptor(fd: number): number {
  return checked("fcntl(F_DUPFD_CLOEXEC)", libc.fcntl(fd, Fcntl.F_DUPFD_CLOEXEC, 0), `descriptor ${fd}`);
}

export function setNonBlocking(fd: number): void {
  const flags = checked("fcntl(F_GETFL)", libc.fcntl(fd, Fcntl.F_GETFL, 0), `descriptor ${fd}`);
  checked("fcntl(F_SETFL)", libc.fcntl(fd, Fcntl.F_SETFL, flags | O_NONBLOCK), `descriptor ${fd}`);
}

export function isOpenDescriptor(fd: number): boolean {
  return libc.fcntl(fd, Fcntl.F_GETFD, 0) !== -1;
}

/** A non-blocking call's result: a count, WOULD_BLOCK, undefined to call again (EINTR), or the error thrown. */
export function outcome(call: string, result: number): number | undefined {
  if (result >= 0) return result;
  const errno = lastErrno();
  if (errno === constants.errno.EAGAIN) return WOULD_BLOCK;
  if (errno === constants.errno.EINTR) return undefined;
  throw new LibcError(call, errno);
}
