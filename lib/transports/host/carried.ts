import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import { carriedBytes, packFrames, unpackFrames } from "../pairs/index.ts";
import { FrameType, MAX_FRAME_BYTES } from "./frames.ts";

const TYPE_BYTES = 4;

/** A message of the managers as one packet; undefined where it does not fit. */
export function packCarried(frames: readonly Uint8Array[]): NativeBuffer | undefined {
  const byteLength = TYPE_BYTES + carriedBytes(frames);
  if (byteLength > MAX_FRAME_BYTES) return undefined;
  const packet = NativeBuffer.allocate(byteLength);
  packet.u32[0] = FrameType.CARRY;
  packFrames(frames, packet.bytes.subarray(TYPE_BYTES));
  return packet;
}

/** The message in the first `byteLength` bytes; undefined where there is none. */
export function unpackCarried(packet: NativeBuffer, byteLength: number): Uint8Array<ArrayBuffer>[] | undefined {
  return unpackFrames(packet.bytes.subarray(TYPE_BYTES, byteLength));
}
