import { expect, test } from "bun:test";
import { IovecArena, Mapping, unsafeCopy } from "../../../ffi/libc/index.ts";
import { NativeBuffer, unsafeReadU32 } from "../../../ffi/runtime/index.ts";

/** Hot enough for every compiler tier, with garbage made and collected meanwhile. */
function staleReads(rounds: number, write: (value: number) => void, read: () => number): number {
  let stale = 0;
  let garbage: unknown[] = [];
  for (let i = 0; i < rounds; i++) {
    write(i);
    garbage.push(new Uint8Array(64), { i });
    if (garbage.length > 1_000) garbage = [];
    if (i % 40_000 === 0) Bun.gc(true);
    if (read() !== i) stale++;
  }
  return stale;
}

test("native code sees every write to a small NativeBuffer in hot code under garbage collection", () => {
  const buffer = NativeBuffer.allocate(16);
  const { address } = buffer;
  const stale = staleReads(
    200_000,
    (value) => (buffer.u32[1] = value),
    () => unsafeReadU32(address, 4),
  );
  expect(stale).toBe(0);
});

test("native code sees every write to a mapping in hot code under garbage collection", () => {
  using mapping = Mapping.allocate(4096);
  const words = new Uint32Array(mapping.buffer);
  const stale = staleReads(
    200_000,
    (value) => (words[3] = value),
    () => unsafeReadU32(mapping.address, 12),
  );
  expect(stale).toBe(0);
});

test("an iovec arena that is filled again and again always says what was written last", () => {
  using from = Mapping.allocate(4096);
  using to = Mapping.allocate(4096);
  const source = new Uint32Array(from.buffer);
  const target = new Uint32Array(to.buffer);
  const arena = IovecArena.allocate(4);
  const stale = staleReads(
    200_000,
    (value) => {
      source[0] = value;
      arena.clear();
      arena.push(from.address, 4);
    },
    () => {
      unsafeCopy(to.address, unsafeReadU32(arena.address) + unsafeReadU32(arena.address, 4) * 2 ** 32, 4);
      return target[0]!;
    },
  );
  expect(stale).toBe(0);
});
