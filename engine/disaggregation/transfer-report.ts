import type { KVReceiver, KVSender } from "../../lib/index.ts";
import type { TransferReport } from "../scheduler/index.ts";

/** What an ended room tells of itself. */
export function transferReport(room: KVSender | KVReceiver, pages: number): TransferReport {
  const { transport, transferTotalBytes: bytes, transferLatencyS, tailLatencyS } = room.transferMetric();
  return { transport, pages, bytes, seconds: tailLatencyS || transferLatencyS };
}
