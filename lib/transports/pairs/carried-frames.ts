const MAX_FRAMES = 8;

/** Bytes of the frames of one message between the managers, packed: their number and lengths as u32, then their bytes. */
export function carriedBytes(frames: readonly Uint8Array[]): number {
  return frames.reduce((sum, frame) => sum + frame.byteLength, 4 + 4 * frames.length);
}

/** Packs the frames into the first {@link carriedBytes}. */
export function packFrames(frames: readonly Uint8Array[], into: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset);
  view.setUint32(0, frames.length, true);
  let at = 4 + 4 * frames.length;
  frames.forEach((frame, index) => {
    view.setUint32(4 + 4 * index, frame.byteLength, true);
    into.set(frame, at);
    at += frame.byteLength;
  });
}

/** Copies of the frames that fill the bytes; undefined where they do not. */
export function unpackFrames(packed: Uint8Array): Uint8Array<ArrayBuffer>[] | undefined {
  if (packed.byteLength < 4) return undefined;
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const count = view.getUint32(0, true);
  let at = 4 + 4 * count;
  if (count > MAX_FRAMES || at > packed.byteLength) return undefined;
  const frames: Uint8Array<ArrayBuffer>[] = [];
  for (let index = 0; index < count; index++) {
    const length = view.getUint32(4 + 4 * index, true);
    if (at + length > packed.byteLength) return undefined;
    frames.push(new Uint8Array(packed.slice(at, at + length)));
    at += length;
  }
  return at === packed.byteLength ? frames : undefined;
}
