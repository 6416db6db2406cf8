import type { KVTransferError } from "../../lib/index.ts";
import { RequestError } from "../errors.ts";

/** A room's failure as its client is told: whose transfer, of which request, with whom, at what, and why. */
export function transferFailure(
  half: "Prefill" | "Decode",
  rid: string,
  room: number,
  cause: KVTransferError | undefined,
): RequestError {
  const where = { rid, room, peer: cause?.peer, step: cause?.step };
  const known = Object.entries(where).filter(([, value]) => value !== undefined);
  const context = known.map(([name, value]) => `${name} ${value}`).join(", ");
  const message = `${half} transfer failed (${context}): ${cause?.code}: ${cause?.message}`;
  return new RequestError("TRANSFER_FAILED", 500, message, { cause });
}
