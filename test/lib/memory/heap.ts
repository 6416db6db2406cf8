import { heapStats } from "bun:jsc";
import { NativeBuffer, openLibrary } from "../../../ffi/runtime/index.ts";

/** What a thread's heap holds once all garbage is gone. */
export interface Heap {
  /** Buffers included. */
  readonly bytes: number;
  /** Besides compiled code, which comes and goes with what has run lately. */
  readonly objects: number;
}

/** Kinds of cells that code is made of, and the constants in it. */
const CODE = /Code|Executable|SymbolTable|Structure|Butterfly|^string$/;

/** This thread's. The second collection takes what the first left for finalizers. */
export function collectedHeap(): Heap {
  Bun.gc(true);
  Bun.gc(true);
  const { heapSize, objectTypeCounts } = heapStats();
  const data = Object.entries(objectTypeCounts).filter(([kind]) => !CODE.test(kind));
  return { bytes: heapSize, objects: data.reduce((sum, [, count]) => sum + count, 0) };
}

/** It gives a struct of ten words: on x86-64 the caller says where it goes, ahead of other parameters. */
const symbols = { mallinfo2: { parameters: ["pointer"], result: "pointer" } } as const;
const MALLINFO_WORDS = 10;
const ALLOCATED_WORD = 7;
const LARGE_WORD = 4;

/** Bytes that native libraries have allocated in this process: mallinfo(3), which the GNU C library has. */
export function nativeBytes(): number {
  if (process.arch !== "x64") return 0;
  const { mallinfo2 } = openLibrary({ name: "the GNU C library", candidates: ["libc.so.6"], symbols }).symbols;
  const info = NativeBuffer.allocate(MALLINFO_WORDS * 8);
  mallinfo2(info.address);
  return info.u32[2 * ALLOCATED_WORD]! + info.u32[2 * LARGE_WORD]!;
}
