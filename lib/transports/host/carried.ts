import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import { FrameType, MAX_FRAME_BYTES } from "./frames.ts";

const HEADER_BYTES = 8;
const MAX_FRAMES = 8;

/** A message of the managers as one packet; undefined where it does not fit. */
export function packCarried(frames: readonly Uint8Array[]): NativeBuffer | undefined {
  const lengths = 4 * frames.length;
  const byteLength = frames.reduce((sum, frame) => sum + frame.byteLength, HEADER_BYTES + lengths);
  if (byteLength > MAX_FRAME_BYTES || frames.length > MAX_FRAMES) return undefined;
  const packet = NativeBuffer.allocate(byteLength);
  packet.u32[0] = FrameType.CARRY;
  packet.u32[1] = frames.length;
  let at = HEADER_BYTES + lengths;
  frames.forEach((frame, index) => {
    packet.u32[2 + index] = frame.byteLength;
    packet.bytes.set(frame, at);
    at += frame.byteLength;
  });
  return packet;
}

/** The message in the first `byteLength` bytes; undefined where there is none. */
export function unpackCarried(packet: NativeBuffer, byteLength: number): Uint8Array<ArrayBuffer>[] | undefined {
  const count = packet.u32[1]!;
  if (byteLength < HEADER_BYTES || count > MAX_FRAMES) return undefined;
  const frames: Uint8Array<ArrayBuffer>[] = [];
  let at = HEADER_BYTES + 4 * count;
  for (let index = 0; index < count; index++) {
    const length = packet.u32[2 + index]!;
    if (at + length > byteLength) return undefined;
    frames.push(new Uint8Array(packet.bytes.slice(at, at + length)));
    at += length;
  }
  return at === byteLength ? frames : undefined;
}
