import { KVTransferError } from "../../errors.ts";
import type { PairErrors } from "../pairs/index.ts";

/** Statuses of a peer that does not answer; all others are somebody's mistake. */
const SILENT: ReadonlySet<string> = new Set([
  "IBV_WC_RETRY_EXC_ERR",
  "IBV_WC_RNR_RETRY_EXC_ERR",
  "IBV_WC_RESP_TIMEOUT_ERR",
  "IBV_WC_REM_ABORT_ERR",
]);

/** What a lane's failure means for its pair. */
export function laneFailure(errors: PairErrors, step: string, status: string, message: string): KVTransferError {
  const text = `${errors.peer}: ${message}`;
  const code = SILENT.has(status) ? "PEER_LOST" : "NATIVE";
  return new KVTransferError(code, text, { peer: errors.peer, step, status });
}
