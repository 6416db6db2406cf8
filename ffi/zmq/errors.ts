import { constants } from "node:os";
import { unsafeReadCString } from "../runtime/index.ts";
import { zmqErrorNumbers } from "./constants.ts";
import { libzmq } from "./library.ts";

/** The first name of a number wins: EAGAIN before EWOULDBLOCK. */
const names = new Map<number, string>();
for (const [name, number] of Object.entries({ ...constants.errno, ...zmqErrorNumbers })) {
  if (!names.has(number)) names.set(number, name);
}

const numbers: Readonly<Record<string, number | undefined>> = { ...constants.errno, ...zmqErrorNumbers };

/** What libzmq refused, or would have: `code` is the errno's name, `call` the C function's, `subject` what it was given. */
export class ZmqError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly call: string;
  readonly subject: string | undefined;

  constructor(call: string, errno: number, reason: string, subject?: string) {
    const code = names.get(errno) ?? `ERRNO_${errno}`;
    super(`${call}${subject === undefined ? "" : ` ${subject}`}: ${reason} (${code})`);
    this.name = "ZmqError";
    this.code = code;
    this.errno = errno;
    this.call = call;
    this.subject = subject;
  }
}

/** The error of the libzmq call that has just failed on this thread. */
export function lastError(call: string, subject?: string): ZmqError {
  return failure(call, libzmq().symbols.zmq_errno(), subject);
}

export function failure(call: string, errno: number, subject?: string): ZmqError {
  return new ZmqError(call, errno, unsafeReadCString(libzmq().symbols.zmq_strerror(errno)), subject);
}

/** An error found before libzmq is called, where the call would be unsafe or its own answer would mislead. */
export function refusal(call: string, code: string, reason: string, subject?: string): ZmqError {
  return new ZmqError(call, numbers[code] ?? 0, reason, subject);
}
