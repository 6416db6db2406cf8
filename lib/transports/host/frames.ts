import { z } from "zod";
import { tokenSchema } from "../pairs/index.ts";

/** What crosses a pair's unix socket. Each packet is one frame: its type as a u32, then the fields or JSON. */
export const FrameType = {
  /** Sender's first: JSON {@link helloSchema}. */
  HELLO: 1,
  /** Receiver's answer: JSON {@link welcomeSchema}, in as many packets as needed, with descriptors. */
  WELCOME: 2,
  /** Sender: the nonce stands in the scratch place. */
  PROBE: 3,
  /** Receiver: JSON {@link proofSchema}, what it found there. */
  PROOF: 4,
  /** Sender: every byte of room `tag` is in place; `count` bytes in all. */
  NOTIFY: 5,
  /** Receiver: write nothing more for room `tag`, and say so. */
  REVOKE: 6,
  /** Sender: writes nothing more for room `tag`. */
  FENCED: 7,
  /** Sender: this process runs. */
  ALIVE: 8,
  /** Receiver, before it closes: JSON {@link refusalSchema}. */
  REFUSED: 9,
  /** Sender, before it closes: nothing is written any more, whatever becomes of this process. */
  LEFT: 10,
  /** Receiver: the frames of a message between the managers: their number, their lengths as u32, their bytes. */
  CARRY: 32,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** Frames with JSON; the others are 16 bytes: type, tag, count (u64). */
export const MESSAGE_TYPES: ReadonlySet<number> = new Set<FrameType>([
  FrameType.HELLO,
  FrameType.WELCOME,
  FrameType.PROOF,
  FrameType.REFUSED,
]);

export const CONTROL_FRAME_BYTES = 16;
/** No packet is longer; WELCOME is split to fit. */
export const MAX_FRAME_BYTES = 64 * 1024;
export const PROTOCOL_VERSION = 1;

export const helloSchema = z.strictObject({
  version: z.literal(PROTOCOL_VERSION),
  transport: z.string().max(64),
  token: tokenSchema,
  nonce: tokenSchema,
});
export type Hello = z.infer<typeof helloSchema>;

const count = z.int().nonnegative();

/** A place of the receiver's memory that the sender may write to. */
const regionSchema = z.strictObject({
  address: count,
  byteLength: count,
  /** Index of the packet's descriptor that holds it, and where in that; absent for memory that is no memfd. */
  share: z.strictObject({ descriptor: count, offset: count }).optional(),
  /** For device memory: the allocation that it lies in, as other processes open it, and the GPU. */
  device: z
    .strictObject({
      /** cudaIpcMemHandle_t in hexadecimal. */
      handle: z.string().regex(/^[0-9a-f]{128}$/, "expected 128 hexadecimal digits"),
      offset: count,
      allocationBytes: count,
      pciBusId: z.string().max(32),
    })
    .optional(),
});
export type Region = z.infer<typeof regionSchema>;

export const welcomeSchema = z.strictObject({
  /** The hello's nonce, back: whoever answers has read it, so this is the process that made the offer. */
  nonce: tokenSchema,
  /** First the scratch place, then the buffers of the layout in their order. */
  regions: z.array(regionSchema),
  /** Another packet follows. */
  more: z.boolean(),
});

/** The 16 bytes found in the scratch place, in hexadecimal. */
export const proofSchema = z.strictObject({ found: tokenSchema });

export const refusalSchema = z.strictObject({ reason: z.string().max(1_000), status: z.string().max(64).optional() });
