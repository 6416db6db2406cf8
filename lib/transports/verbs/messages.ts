/**
 * The messages of a lane: 16 bytes in a SEND, beside the writes. u8 type, u8 credits given back, u8 round, u8 lanes,
 * u32 tag, f64 value. A CARRY goes on behind them.
 * @module
 */
import type { RoomTag } from "../transport.ts";

export const MESSAGE_BYTES = 16;
/** What a CARRY can have behind that: the pages of a room of some 230. */
export const CARRIED_BYTES = 1024 - MESSAGE_BYTES;

export const MessageType = {
  /** Decode's first, on every lane: its acknowledgement proves that the path works both ways. */
  HELLO: 1,
  /** Nothing but credits. */
  CREDIT: 2,
  /** Prefill: this process runs. */
  ALIVE: 3,
  /** Prefill: `value` is the bytes of the room whose immediate follows, told by `lanes` lanes in this `round`. */
  TOTAL: 4,
  /** Decode: write no more for `tag`. */
  REVOKE: 5,
  /** Prefill, on every lane, behind the last write for `tag`. */
  FENCED: 6,
  /** Either: this end is being closed. */
  BYE: 7,
  /** Either: lane `tag` is not used any more. Prefill says it behind its last write there. */
  DOWN: 8,
  /** Decode: what came by lane `tag` is in place, nothing more can come by it, and what is missing was asked for again. */
  CLOSED: 9,
  /** Decode: room `tag` is not whole; it counts what is told of it in `round` only. */
  RESEND: 10,
  /** Decode: lane `tag`, with a queue pair as {@link packQueuePair} in `value`, in the place `lanes`. */
  OFFER: 11,
  /** Prefill: its end of lane `tag`. */
  ACCEPT: 12,
  /** Decode: `value` is the key of range number `round` for room `tag`, on the lane that it is said on. */
  KEY: 13,
  /** Decode: behind it are `value` bytes, the frames of a message between the managers. */
  CARRY: 14,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

export interface Message {
  readonly type: number;
  readonly credits: number;
  readonly round: number;
  readonly lanes: number;
  readonly tag: number;
  readonly value: number;
  /** Of a CARRY. */
  readonly body?: Uint8Array;
}

/** What is said of a room with its last write on a lane. */
export interface Total {
  readonly tag: RoomTag;
  readonly bytes: number;
  /** Counts how often the room was asked for again. */
  readonly round: number;
  /** Lanes that tell of it in this round. */
  readonly lanes: number;
}

export function encodeMessage(view: DataView, offset: number, message: Message): void {
  view.setUint8(offset, message.type);
  view.setUint8(offset + 1, message.credits);
  view.setUint8(offset + 2, message.round);
  view.setUint8(offset + 3, message.lanes);
  view.setUint32(offset + 4, message.tag, true);
  view.setFloat64(offset + 8, message.value, true);
}

export function decodeMessage(view: DataView, offset: number): Message {
  return {
    type: view.getUint8(offset),
    credits: view.getUint8(offset + 1),
    round: view.getUint8(offset + 2),
    lanes: view.getUint8(offset + 3),
    tag: view.getUint32(offset + 4, true),
    value: view.getFloat64(offset + 8, true),
  };
}

interface QueuePairName {
  readonly queuePair: number;
  readonly packetSequence: number;
}

const U24 = 0x100_0000;

/** Two numbers of 24 bits in one value. */
export function packQueuePair({ queuePair, packetSequence }: QueuePairName): number {
  return queuePair + packetSequence * U24;
}

export function unpackQueuePair(value: number): QueuePairName {
  return { queuePair: value % U24, packetSequence: Math.floor(value / U24) % U24 };
}
