/**
 * The messages of a lane: 16 bytes in a SEND, beside the writes. u16 type, u16 credits given back, u32 tag, f64 value.
 * @module
 */
export const MESSAGE_BYTES = 16;

export const MessageType = {
  /** Decode's first, on every lane: its acknowledgement proves that the path works both ways. */
  HELLO: 1,
  /** Nothing but credits. */
  CREDIT: 2,
  /** Prefill: this process runs. */
  ALIVE: 3,
  /** Prefill: `value` is the bytes of the room whose immediate follows. */
  TOTAL: 4,
  /** Decode: write no more for `tag`. */
  REVOKE: 5,
  /** Prefill, on every lane, behind the last write for `tag`. */
  FENCED: 6,
  /** Either: this end is being closed. */
  BYE: 7,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

export interface Message {
  readonly type: number;
  readonly credits: number;
  readonly tag: number;
  readonly value: number;
}

export function encodeMessage(view: DataView, offset: number, { type, credits, tag, value }: Message): void {
  view.setUint16(offset, type, true);
  view.setUint16(offset + 2, credits, true);
  view.setUint32(offset + 4, tag, true);
  view.setFloat64(offset + 8, value, true);
}

export function decodeMessage(view: DataView, offset: number): Message {
  return {
    type: view.getUint16(offset, true),
    credits: view.getUint16(offset + 2, true),
    tag: view.getUint32(offset + 4, true),
    value: view.getFloat64(offset + 8, true),
  };
}
