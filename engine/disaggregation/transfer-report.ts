import type { KVReceiver, KVSender } from "../../lib/index.ts";
import type { TransferReport } from "../scheduler/index.ts";

/** What a sender's ended room tells of itself. */
export function sendReport(sender: KVSender, pages: number): TransferReport {
  const { transport, transferTotalBytes: bytes, writingS, tailLatencyS } = sender.transferMetric();
  return { transport, pages, bytes, seconds: { writing: writingS, tail: tailLatencyS } };
}

/** What a receiver's ended room tells of itself. */
export function receiveReport(receiver: KVReceiver, pages: number): TransferReport {
  const { transport, transferTotalBytes: bytes, transferLatencyS } = receiver.transferMetric();
  return { transport, pages, bytes, seconds: { waiting: transferLatencyS } };
}
