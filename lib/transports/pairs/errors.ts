import type { z } from "zod";
import { asTransferError, type ErrorDetails, KVTransferError } from "../../errors.ts";

/** Makes the errors of one pair, which all name the peer and the transport. */
export class PairErrors {
  readonly peer: string;

  constructor(peer: string, transport: string) {
    this.peer = `${peer} (${transport})`;
  }

  protocol(step: string, message: string, details: ErrorDetails = {}): KVTransferError {
    return new KVTransferError("PROTOCOL", `${this.peer}: ${message}`, { ...details, peer: this.peer, step });
  }

  lost(step: string, message: string, details: ErrorDetails = {}): KVTransferError {
    return new KVTransferError("PEER_LOST", `${this.peer}: ${message}`, { ...details, peer: this.peer, step });
  }

  /** The transport cannot be used between these two; another one may. */
  unusable(step: string, message: string, cause?: unknown): KVTransferError {
    const status = cause instanceof Error && "code" in cause ? { status: String(cause.code) } : {};
    return new KVTransferError("NO_TRANSPORT", `${this.peer}: ${message}`, { ...status, peer: this.peer, step, cause });
  }

  revoked(): KVTransferError {
    return new KVTransferError("ABORTED", `${this.peer} took back the room's pages`, {
      peer: this.peer,
      step: "write",
    });
  }

  native(step: string, thrown: unknown): KVTransferError {
    return asTransferError(thrown, { peer: this.peer, step });
  }

  parse<T>(schema: z.ZodType<T>, data: unknown, step: string): T {
    const parsed = schema.safeParse(data);
    if (parsed.success) return parsed.data;
    const issues = parsed.error.issues.map((issue) => `${issue.path.join(".") || "value"}: ${issue.message}`);
    throw this.protocol(step, `expected ${step} data, but ${issues.join("; ")}`, { cause: parsed.error });
  }
}
