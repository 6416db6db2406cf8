import type { Gid } from "./gid.ts";
import type { QueuePair } from "./queue-pair.ts";

/** What one side of a connection tells the other, and takes from it. */
export interface Endpoint {
  readonly queuePair: number;
  readonly packetSequence: number;
  readonly lid?: number;
  readonly gid?: Gid | undefined;
}

export interface ConnectOptions {
  readonly remote: Endpoint;
  /** The own first packet's number, as it was told to the peer. */
  readonly packetSequence: number;
  /** 1 by default. */
  readonly port?: number;
  readonly sourceGidIndex?: number;
  /** Bytes; 1024 by default. */
  readonly pathMtu?: number;
  readonly serviceLevel?: number;
  readonly hopLimit?: number;
  /** Outstanding reads and atomics in each direction; 1 by default. */
  readonly maxReadAtomic?: number;
  /** Encodings of ibv_modify_qp(3), with ibv_rc_pingpong's defaults: 14, 7, 7 and 12. */
  readonly timeout?: number;
  readonly retryCount?: number;
  readonly receiverNotReadyRetry?: number;
  readonly minReceiverNotReadyTimer?: number;
}

/** INIT → RTR → RTS of an RC or UC queue pair: both directions work once the peer has done the same. */
export function connect(queuePair: QueuePair, options: ConnectOptions): void {
  const { remote, port = 1, maxReadAtomic = 1 } = options;
  const reliable = queuePair.type === "RC";
  queuePair.modify({
    state: "RTR",
    address: {
      port,
      lid: remote.lid ?? 0,
      gid: remote.gid,
      sourceGidIndex: options.sourceGidIndex ?? 0,
      serviceLevel: options.serviceLevel ?? 0,
      ...(options.hopLimit !== undefined && { hopLimit: options.hopLimit }),
    },
    pathMtu: options.pathMtu ?? 1024,
    remoteQueuePair: remote.queuePair,
    receivePacketSequence: remote.packetSequence,
    ...(reliable && {
      maxDestinationReadAtomic: maxReadAtomic,
      minReceiverNotReadyTimer: options.minReceiverNotReadyTimer ?? 12,
    }),
  });
  queuePair.modify({
    state: "RTS",
    sendPacketSequence: options.packetSequence,
    ...(reliable && {
      timeout: options.timeout ?? 14,
      retryCount: options.retryCount ?? 7,
      receiverNotReadyRetry: options.receiverNotReadyRetry ?? 7,
      maxReadAtomic,
    }),
  });
}

/** RESET → INIT → RTR → RTS of a UD queue pair: it has no peer of its own. */
export function openDatagrams(
  queuePair: QueuePair,
  options: { readonly queueKey: number; readonly port?: number; readonly packetSequence?: number },
): void {
  const { queueKey, port = 1, packetSequence = 0 } = options;
  queuePair.modify({ state: "INIT", partitionKeyIndex: 0, port, queueKey });
  queuePair.modify({ state: "RTR" });
  queuePair.modify({ state: "RTS", sendPacketSequence: packetSequence });
}
