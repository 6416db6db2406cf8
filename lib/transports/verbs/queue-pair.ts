import {
  type CompletionQueue,
  type QueuePair,
  type QueuePairCapabilities,
  VerbsError,
} from "../../../ffi/verbs/index.ts";
import type { Rail } from "./rail.ts";

/** Room for a message or an aux slot within the request itself, as far as the provider goes. */
const INLINE_BYTES = [256, 64, 0] as const;

/** An RC queue pair with as much inline room as the device gives. @throws {VerbsError} */
export function createQueuePair(
  rail: Rail,
  completions: CompletionQueue,
  capabilities: Omit<QueuePairCapabilities, "inlineBytes">,
): QueuePair {
  for (const inlineBytes of INLINE_BYTES) {
    try {
      return rail.domain.createQueuePair({
        type: "RC",
        sendCompletionQueue: completions,
        receiveCompletionQueue: completions,
        capabilities: { ...capabilities, inlineBytes },
      });
    } catch (error) {
      // A provider says EINVAL for any limit; what is not about inline data fails with none, too.
      if (inlineBytes === 0 || !(error instanceof VerbsError) || error.code !== "EINVAL") throw error;
    }
  }
  throw new TypeError("unreachable: the last size either worked or threw");
}
