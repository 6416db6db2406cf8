import { z } from "zod";
import type { KeepAlive } from "../../../ffi/libc/index.ts";

export const tcpOptionsSchema = z.strictObject({
  /** Address to listen on, in digits or as a name. Default: the advertised host. `0.0.0.0` and `::` take all. */
  host: z.string().min(1).optional(),
  /** Port to listen on. Default 0: a free one. */
  port: z.int().min(0).max(65_535).default(0),
  /** Kernel buffers in bytes; where not given, the kernel sizes them itself. */
  sendBufferBytes: z.int().positive().optional(),
  receiveBufferBytes: z.int().positive().optional(),
  /** How long a peer's host may stay silent, or sent data unacknowledged, before the pair counts as lost. */
  deadPeerMs: z.int().min(1_000).default(10_000),
});
export type TcpOptions = z.infer<typeof tcpOptionsSchema>;

/** Probes so that a host that has vanished is noticed after about `deadPeerMs`. */
export function keepAliveOf({ deadPeerMs }: TcpOptions): KeepAlive {
  const seconds = deadPeerMs / 1_000;
  const intervalSeconds = Math.max(1, Math.floor(seconds / 5));
  return {
    idleSeconds: Math.max(1, Math.floor(seconds / 2)),
    intervalSeconds,
    probes: Math.max(1, Math.floor(seconds / 2 / intervalSeconds)),
    userTimeoutMs: deadPeerMs,
  };
}
