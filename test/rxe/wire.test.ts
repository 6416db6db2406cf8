import { expect, test } from "bun:test";
import { encodeFrame, type Frame, FrameKind, FrameReader } from "./wire.ts";

test("frames come out whole, however their bytes were cut", () => {
  const payloads = ["", "short", "x".repeat(5000)];
  const stream = Buffer.concat(payloads.map((payload, id) => encodeFrame(FrameKind.stdout, id, payload)));
  for (const size of [1, 2, 7, 4096, stream.length]) {
    const reader = new FrameReader();
    const frames: Frame[] = [];
    for (let at = 0; at < stream.length; at += size) frames.push(...reader.push(stream.subarray(at, at + size)));
    expect(frames.map(({ kind, id }) => [kind, id])).toEqual(payloads.map((_, id) => [FrameKind.stdout, id]));
    expect(frames.map(({ payload }) => new TextDecoder().decode(payload))).toEqual(payloads);
  }
});
