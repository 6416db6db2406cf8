import { z } from "zod";
import { tokenSchema } from "../pairs/index.ts";

/** The stream begins with one JSON greeting each way: {@link GREETING_MAGIC} (u32), the JSON's length (u32), the JSON. */
export const GREETING_MAGIC = 0x3177766b;
export const GREETING_HEADER_BYTES = 8;
export const MAX_GREETING_BYTES = 2_048;
export const PROTOCOL_VERSION = 2;

export const helloSchema = z.strictObject({
  version: z.literal(PROTOCOL_VERSION),
  token: tokenSchema,
  nonce: tokenSchema,
});
export type Hello = z.infer<typeof helloSchema>;

/** The hello's nonce, back. */
export const welcomeSchema = z.strictObject({ nonce: tokenSchema });

/**
 * Sender to receiver, 32 bytes: type, tag, run count, flags (u32 each), data bytes, total bytes (u64 each). DATA goes on
 * with one {@link RUN_BYTES} entry a run, address and length (u64 each), and then the runs' bytes.
 */
export const SenderFrame = {
  DATA: 1,
  /** The room `tag` gets no more data: the receiver may forget that it took it back. */
  FENCED: 2,
  ALIVE: 3,
} as const;
export const SENDER_HEADER_BYTES = 32;
export const RUN_BYTES = 16;

export const DataFlag = {
  /** A batch ends here: to be acknowledged. */
  ENDS_BATCH: 1,
  /** The room ends here: `total bytes` counts it whole. */
  ENDS_ROOM: 2,
} as const;

/** One frame is short enough for rooms to take turns, and its runs fit into one sendmsg beside the header. */
export const MAX_FRAME_BYTES = 1024 * 1024;
export const MAX_FRAME_RUNS = 1_000;

/** Receiver to sender, 16 bytes: type, tag (u32 each), count (u64). A CARRY goes on with `count` bytes, padded to a multiple of 16. */
export const ReceiverFrame = {
  /** Every byte of the oldest batch not yet acknowledged is in place, or was thrown away because its room is revoked. */
  WRITTEN: 1,
  REVOKE: 2,
  /** A message between the managers, its frames packed. */
  CARRY: 3,
} as const;
export const RECEIVER_FRAME_BYTES = 16;
/** Longer messages, the pages of a room of some 250,000, go by the registry. */
export const MAX_CARRIED_BYTES = 1024 * 1024;

/** Bytes of a CARRY on the stream. */
export function carryBytes(byteLength: number): number {
  return RECEIVER_FRAME_BYTES * (1 + Math.ceil(byteLength / RECEIVER_FRAME_BYTES));
}

export const offerSchema = z.strictObject({
  host: z.string().min(1).max(255),
  port: z.int().min(1).max(65_535),
  token: tokenSchema,
});

export const endpointSchema = z.strictObject({ nonce: tokenSchema });

/** The peer broke the protocol. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}
