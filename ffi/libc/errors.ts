import { constants } from "node:os";
import { unsafeReadI32 } from "../runtime/index.ts";
import { libc } from "./library.ts";

const names = new Map(Object.entries(constants.errno).map(([name, value]) => [value as number, name]));
names.set(constants.errno.EAGAIN, "EAGAIN");

const meanings: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "address not on this host",
  EAGAIN: "would block",
  EBADF: "not an open descriptor",
  ECONNREFUSED: "nobody listens there",
  ECONNRESET: "the peer closed the connection",
  EFAULT: "address not mapped",
  EINVAL: "invalid argument",
  EMFILE: "too many open descriptors",
  ENOMEM: "out of memory",
  EPERM: "not permitted",
  EPIPE: "the peer reads no more",
  ESRCH: "no such process",
  ETIMEDOUT: "timed out",
};

/** A C library call failed. */
export class LibcError extends Error {
  override readonly name = "LibcError";
  /** The errno by name: `ENOMEM`. */
  readonly code: string;
  readonly errno: number;
  /** The C function: `mmap`. */
  readonly call: string;

  constructor(call: string, errno: number, detail?: string) {
    const code = errnoName(errno);
    const meaning = meanings[code];
    super(`${call}: ${code}${meaning ? ` (${meaning})` : ""}${detail ? `; ${detail}` : ""}`);
    this.code = code;
    this.errno = errno;
    this.call = call;
  }
}

export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** This thread's errno. Right only immediately after the call that failed, before any other native call. */
export function lastErrno(): number {
  return unsafeReadI32(libc.__errno_location());
}

/** Gives `result` back, or throws what errno says where it is -1. */
export function checked(call: string, result: number, detail?: string): number {
  if (result === -1) throw new LibcError(call, lastErrno(), detail);
  return result;
}
