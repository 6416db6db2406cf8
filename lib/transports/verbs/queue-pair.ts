import { randomBytes } from "node:crypto";
import {
  Access,
  type CompletionQueue,
  Gid,
  type QueuePair,
  type QueuePairCapabilities,
  VerbsError,
} from "../../../ffi/verbs/index.ts";
import type { RailAddress } from "./endpoint.ts";
import type { VerbsOptions } from "./options.ts";
import type { Rail } from "./rail.ts";

/** Room for a message or an aux slot within the request itself, as far as the provider goes. */
const INLINE_BYTES = [256, 64, 0] as const;
const MIN_RECEIVER_NOT_READY_TIMER = 12;

/** The other end of a queue pair. */
export interface RemoteQueuePair {
  readonly queuePair: number;
  readonly packetSequence: number;
  readonly address: RailAddress;
}

/** An RC queue pair in INIT, with as much inline room as the device gives. @throws {VerbsError} */
export function createQueuePair(
  rail: Rail,
  completions: CompletionQueue,
  capabilities: Omit<QueuePairCapabilities, "inlineBytes">,
): QueuePair {
  const queuePair = create(rail, completions, capabilities);
  queuePair.modify({
    state: "INIT",
    partitionKeyIndex: 0,
    port: rail.choice.candidate.port,
    access: Access.LOCAL_WRITE | Access.REMOTE_WRITE,
  });
  return queuePair;
}

/** Where the packets of a queue pair begin to count: 24 bits. */
export function randomPacketSequence(): number {
  return randomBytes(3).readUIntBE(0, 3);
}

/** To RTR and RTS: the peer may send, and so may this side once the peer is as far. @throws {VerbsError} */
export function connectQueuePair(
  { queuePair, rail, packetSequence }: { queuePair: QueuePair; rail: Rail; packetSequence: number },
  remote: RemoteQueuePair,
  options: VerbsOptions,
): void {
  const { mtu, port } = rail.choice.candidate;
  const { trafficClass, serviceLevel, hopLimit, timeout, retryCount, rnrRetry } = options;
  const { gid } = rail.choice;
  const route = gid &&
    remote.address.gid && { gid: Gid.fromHex(remote.address.gid), sourceGidIndex: gid.index, hopLimit, trafficClass };
  queuePair.modify({
    state: "RTR",
    address: { port, lid: remote.address.lid, serviceLevel, ...route },
    pathMtu: Math.min(mtu, remote.address.mtu, options.mtu ?? 4_096),
    remoteQueuePair: remote.queuePair,
    receivePacketSequence: remote.packetSequence,
    maxDestinationReadAtomic: 1,
    minReceiverNotReadyTimer: MIN_RECEIVER_NOT_READY_TIMER,
  });
  queuePair.modify({
    state: "RTS",
    sendPacketSequence: packetSequence,
    timeout,
    retryCount,
    receiverNotReadyRetry: rnrRetry,
    maxReadAtomic: 1,
  });
}

function create(
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
