import type { CompletionBatch } from "./completion.ts";
import type { CompletionQueue } from "./completion-queue.ts";
import { PostError, VerbsUserError } from "./errors.ts";
import type { QueuePair } from "./queue-pair.ts";
import { ReceiveList } from "./receive-list.ts";
import { SendList } from "./send-list.ts";

/** The number of the requests that mark the end of each queue; no other request may use it. */
export const DRAIN_MARKER = Number.MAX_SAFE_INTEGER;

export interface DrainOptions {
  /** Milliseconds. */
  readonly timeoutMs: number;
  /** Is shown every completion on the way, in place; also those of other queue pairs on the same completion queues. */
  readonly onCompletion?: (batch: CompletionBatch, index: number) => void;
}

/**
 * Moves an RC or UC queue pair to ERR and polls until both its queues are empty: afterwards the device touches none of
 * the memory that its requests named. Receives of a shared queue stay there.
 * @throws {VerbsUserError} "WRONG_STATE" when the time is over.
 */
export function drain(queuePair: QueuePair, options: DrainOptions): void {
  if (queuePair.type === "UD")
    throw new VerbsUserError("INVALID_ARGUMENT", "a UD queue pair has no marker to drain by");
  if (queuePair.state === "RESET") return;
  queuePair.modify({ state: "ERR" });
  const deadline = performance.now() + options.timeoutMs;
  const send = new SendList({ requests: 1 }).send(DRAIN_MARKER);
  drainQueue(queuePair, queuePair.sendCompletionQueue, () => queuePair.postSend(send), deadline, options);
  if (queuePair.sharedReceiveQueue) return;
  const receive = new ReceiveList({ requests: 1 }).receive(DRAIN_MARKER);
  const postReceive = () => {
    queuePair.postReceive(receive);
    // soft-RoCE does not look at a receive posted in ERR until it is told once more that this is an error.
    queuePair.modify({ state: "ERR" });
  };
  drainQueue(queuePair, queuePair.receiveCompletionQueue, postReceive, deadline, options);
}

function drainQueue(
  queuePair: QueuePair,
  completions: CompletionQueue,
  postMarker: () => void,
  deadline: number,
  { onCompletion, timeoutMs }: DrainOptions,
): void {
  const batch = completions.completions;
  let posted = tryPost(postMarker);
  for (;;) {
    const count = completions.poll(batch);
    let done = false;
    for (let index = 0; index < count; index++) {
      const marker = batch.workRequestId(index) === DRAIN_MARKER;
      if (marker && batch.queuePairNumber(index) === queuePair.number) done = true;
      else onCompletion?.(batch, index);
    }
    if (done) return;
    if (performance.now() > deadline) {
      throw new VerbsUserError("WRONG_STATE", `queue pair ${queuePair.number} was not empty after ${timeoutMs} ms`);
    }
    posted ||= tryPost(postMarker);
  }
}

/** A full queue takes the marker as soon as a flushed request has made room. */
function tryPost(postMarker: () => void): boolean {
  try {
    postMarker();
    return true;
  } catch (error) {
    if (error instanceof PostError && error.code === "ENOMEM") return false;
    throw error;
  }
}
