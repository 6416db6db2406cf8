import { collectedHeap, type Heap, nativeBytes } from "./heap.ts";
import type { HeapProbe } from "./heap-probe.ts";

/** What a process holds when all garbage is gone, thread by thread; native libraries have one heap. */
export interface Footprint {
  readonly heaps: readonly Heap[];
  readonly nativeBytes: number;
}

/** This thread's heap, then those of the probes' threads. */
export async function footprint(probes: readonly HeapProbe[]): Promise<Footprint> {
  const heaps = [];
  for (const probe of probes) heaps.push(await probe.heap());
  return { heaps: [collectedHeap(), ...heaps], nativeBytes: nativeBytes() };
}

/** Per room: what a room left would be many objects, of more bytes each. The rest is the compiler's, and drifts. */
export const LIMITS = { bytes: 48, objects: 0.05, nativeBytes: 8 } as const;

/** By how much the most grown heap has grown, and that of native libraries, for each of `rooms`. */
export function growthPerRoom(before: Footprint, after: Footprint, rooms: number) {
  const grown = (key: keyof Heap): number =>
    Math.max(...after.heaps.map((heap, thread) => heap[key] - before.heaps[thread]![key])) / rooms;
  const native = (after.nativeBytes - before.nativeBytes) / rooms;
  return { bytes: grown("bytes"), objects: grown("objects"), nativeBytes: native };
}
