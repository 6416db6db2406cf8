/**
 * The library's errors: {@link KVUserError} is the caller's mistake and changes nothing; {@link KVTransferError} is what
 * happened to a room, a peer or the manager. Both carry the same fields, which survive the way between threads.
 * @module
 */

export const UserErrorCode = {
  BAD_ARGUMENT: "BAD_ARGUMENT",
  CLOSED: "CLOSED",
  LAYOUT_MISMATCH: "LAYOUT_MISMATCH",
  NO_TRANSPORT: "NO_TRANSPORT",
  ROOM_EXISTS: "ROOM_EXISTS",
  ROOM_TABLE_FULL: "ROOM_TABLE_FULL",
  WRONG_STATE: "WRONG_STATE",
} as const;
export type UserErrorCode = (typeof UserErrorCode)[keyof typeof UserErrorCode];

export const TransferErrorCode = {
  ABORTED: "ABORTED",
  DEADLINE: "DEADLINE",
  FENCE_PENDING: "FENCE_PENDING",
  INTERNAL: "INTERNAL",
  LAYOUT_MISMATCH: "LAYOUT_MISMATCH",
  NATIVE: "NATIVE",
  NO_TRANSPORT: "NO_TRANSPORT",
  PEER_FAILED: "PEER_FAILED",
  PEER_LOST: "PEER_LOST",
  PROTOCOL: "PROTOCOL",
  REGISTRY_LOST: "REGISTRY_LOST",
  REJECTED: "REJECTED",
} as const;
export type TransferErrorCode = (typeof TransferErrorCode)[keyof typeof TransferErrorCode];

/** Characters of an error's message, and of each of its details, that cross the wire. */
export const MAX_MESSAGE = 2_048;
export const MAX_DETAIL = 256;

export interface ErrorDetails {
  readonly room?: number;
  /** Which peer, as a person would say it: `decode 1f3a rank tp0 pp0 (tcp 10.0.0.2:4711)`. */
  readonly peer?: string;
  /** What was being done: `connect`, `room`, `write`, `notify`, `fence`… */
  readonly step?: string;
  /** The native status by name: `ECONNRESET`, `IBV_WC_REM_ACCESS_ERR`… */
  readonly status?: string;
  readonly cause?: unknown;
}

abstract class KVError<Code extends string> extends Error {
  readonly code: Code;
  readonly room: number | undefined;
  readonly peer: string | undefined;
  readonly step: string | undefined;
  readonly status: string | undefined;

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.room = details.room;
    this.peer = details.peer;
    this.step = details.step;
    this.status = details.status;
  }
}

/** A call that cannot be right: nothing was changed by it. */
export class KVUserError extends KVError<UserErrorCode> {
  override readonly name = "KVUserError";
}

/** A transfer, a peer or the manager failed. */
export class KVTransferError extends KVError<TransferErrorCode> {
  override readonly name = "KVTransferError";

  /** The same failure seen from one room. */
  forRoom(room: number): KVTransferError {
    return this.room === room
      ? this
      : new KVTransferError(this.code, this.message, { ...pickDetails(this), room, cause: this });
  }

  /** Cut to what the protocol lets through: a peer that refused the report would wait for the room's deadline. */
  toRecord(): TransferErrorRecord {
    const { room, ...texts } = pickDetails(this);
    const cut = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, text.slice(0, MAX_DETAIL)]));
    const message = this.message.slice(0, MAX_MESSAGE);
    return { code: this.code, message, ...(room === undefined ? {} : { room }), ...cut };
  }

  static fromRecord(record: TransferErrorRecord): KVTransferError {
    return new KVTransferError(record.code, record.message, record);
  }
}

/** What of a {@link KVTransferError} crosses threads and the wire. */
export interface TransferErrorRecord extends Omit<ErrorDetails, "cause"> {
  readonly code: TransferErrorCode;
  readonly message: string;
}

function pickDetails(error: KVTransferError): { room?: number; peer?: string; step?: string; status?: string } {
  return {
    ...(error.room === undefined ? {} : { room: error.room }),
    ...(error.peer === undefined ? {} : { peer: error.peer }),
    ...(error.step === undefined ? {} : { step: error.step }),
    ...(error.status === undefined ? {} : { status: error.status }),
  };
}

/** What the system says of a peer whose process or host is gone. */
const GONE: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "ESRCH", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"]);

/** Anything thrown, as a transfer error; native errors keep their status by name. */
export function asTransferError(thrown: unknown, details: ErrorDetails = {}): KVTransferError {
  if (thrown instanceof KVTransferError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : undefined;
  if (code !== undefined && GONE.has(code)) {
    return new KVTransferError("PEER_LOST", message, { ...details, status: code, cause: thrown });
  }
  return new KVTransferError(code ? "NATIVE" : "INTERNAL", message, {
    ...details,
    ...(code ? { status: code } : {}),
    cause: thrown,
  });
}
