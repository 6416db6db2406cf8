import { constants } from "node:os";
import { errnoName } from "../libc/index.ts";
import { type CompletionStatus, lastErrno } from "./abi/index.ts";
import type { Address } from "../runtime/index.ts";

/** Linux gives two names to 95; the verbs' manual pages say EOPNOTSUPP. */
function nameOfErrno(errno: number): string {
  return errno === constants.errno.EOPNOTSUPP ? "EOPNOTSUPP" : errnoName(errno);
}

/** What a person can do about an errno, where the verb makes it clear. */
function hintFor(verb: string, code: string): string | undefined {
  if (code === "EOPNOTSUPP" || code === "ENOSYS" || code === "EPROTONOSUPPORT") {
    return "the device, its provider library or the kernel does not offer this";
  }
  if (code === "ENOMEM" && verb.startsWith("ibv_reg")) {
    return "the memory-lock limit is probably too low: raise it with `ulimit -l unlimited` or LimitMEMLOCK=infinity";
  }
  if (code === "ENOMEM" && /post/.test(verb)) return "the queue is full: poll completions before posting more";
  if (code === "ENOMEM") return "a device limit or the memory-lock limit (`ulimit -l`) is reached";
  if (code === "EFAULT" && verb.startsWith("ibv_reg")) return "the range is not mapped, or not writable";
  if ((code === "EACCES" || code === "EPERM") && (verb === "ibv_open_device" || verb === "ibv_create_comp_channel")) {
    return "no permission on the device's file: run as root or join the group that owns it";
  }
  if (code === "ENOENT" && verb === "ibv_open_device") {
    return "the kernel knows the device, but its file is not here: load ib_uverbs, or pass /dev/infiniband to the container";
  }
  return undefined;
}

/** A verb that the library, the kernel or the device refused. `code` is the errno's name, such as "ENOMEM". */
export class VerbsError extends Error {
  readonly code: string;
  readonly errno: number;
  /** The C name of the verb. */
  readonly verb: string;
  /** What to do about it, where that is known. */
  readonly hint: string | undefined;

  constructor(verb: string, errno: number, detail?: string) {
    const code = nameOfErrno(errno);
    const hint = hintFor(verb, code);
    super(`${verb}: ${code} (${errno})${detail ? `, ${detail}` : ""}${hint ? `; ${hint}` : ""}`);
    this.name = "VerbsError";
    this.code = code;
    this.errno = errno;
    this.verb = verb;
    this.hint = hint;
  }
}

/** A post that was refused part of the way: the first `posted` requests of the list are in the queue. */
export class PostError extends VerbsError {
  readonly posted: number;

  constructor(verb: string, errno: number, posted: number, count: number) {
    super(verb, errno, `${posted} of ${count} requests were posted`);
    this.name = "PostError";
    this.posted = posted;
  }
}

export type UserErrorCode =
  | "CLOSED"
  | "FOREIGN_OBJECT"
  | "ILLEGAL_TRANSITION"
  | "INVALID_ARGUMENT"
  | "LIST_TOO_LONG"
  | "NO_DEVICE"
  | "TOO_MANY_ENTRIES"
  | "TOO_MUCH_INLINE_DATA"
  | "UNALIGNED_ATOMIC"
  | "WRONG_STATE";

/** A call that was wrong before any native code was asked. */
export class VerbsUserError extends Error {
  readonly code: UserErrorCode;

  constructor(code: UserErrorCode, message: string) {
    super(message);
    this.name = "VerbsUserError";
    this.code = code;
  }
}

/** A work request that the device reports as failed. `code` is the completion status by name, such as "REM_ACCESS_ERR". */
export class CompletionError extends Error {
  readonly code: keyof typeof CompletionStatus | (string & {});
  readonly workRequestId: number;
  readonly queuePairNumber: number;
  readonly vendorError: number;

  constructor(code: string, workRequestId: number, queuePairNumber: number, vendorError: number) {
    super(`work request ${workRequestId} on queue pair ${queuePairNumber}: ${code}, vendor error ${vendorError}`);
    this.name = "CompletionError";
    this.code = code;
    this.workRequestId = workRequestId;
    this.queuePairNumber = queuePairNumber;
    this.vendorError = vendorError;
  }
}

/** For verbs that give a pointer: NULL becomes the error that errno holds. Must run right after the call. */
export function created(verb: string, address: Address): Address {
  if (address === 0) throw new VerbsError(verb, lastErrno());
  return address;
}

/** For verbs that give a status: most return an errno, some -errno, some -1 with errno set. Must run right after the call. */
export function checked(verb: string, status: number): void {
  if (status === 0) return;
  throw new VerbsError(verb, status === -1 ? lastErrno() : Math.abs(status));
}

/** The error of an extended or inline verb that this library or provider does not have. */
export function unsupported(verb: string): VerbsError {
  return new VerbsError(verb, constants.errno.EOPNOTSUPP);
}
