import { readdirSync, readFileSync } from "node:fs";
import { NativeBuffer } from "../runtime/index.ts";
import { PRIO_PROCESS, SCHED_OTHER, SYS_SCHED_GETATTR, SYS_SCHED_SETATTR } from "./constants.ts";
import { checked } from "./errors.ts";
import { libc } from "./library.ts";

/** struct sched_attr, its first version: sched_setattr(2). */
export const SCHED_ATTR = { policy: 4, nice: 16, runtime: 24, size: 48 } as const;

const CALLING_THREAD = 0;

/** A thread of this process. */
export interface ThreadEntry {
  readonly id: number;
  /** As the kernel knows it: the first 15 bytes. */
  readonly name: string;
}

export function listThreads(): ThreadEntry[] {
  const threads: ThreadEntry[] = [];
  for (const id of readdirSync("/proc/self/task")) {
    try {
      threads.push({ id: Number(id), name: readFileSync(`/proc/self/task/${id}/comm`, "utf8").trimEnd() });
    } catch {
      // It has ended in the meantime.
    }
  }
  return threads;
}

/** -20 to 19; who is not root can only raise it. Throws LibcError. */
export function setNice(threadId: number, nice: number): void {
  checked("setpriority", libc.setpriority(PRIO_PROCESS, threadId, nice), `thread ${threadId}`);
}

/**
 * How long this thread may run before another has its turn, in nanoseconds (0.1 to 100 ms). The shorter, the sooner it
 * runs when it is woken: a thread in a longer slice of its own gives way. Linux has had it since 6.12, and ignores it
 * before; threads of a real-time policy stay as they are. Throws LibcError.
 */
export function setTimeSlice(nanoseconds: number): void {
  const attributes = readAttributes();
  if (attributes.u32[SCHED_ATTR.policy / 4] !== SCHED_OTHER) return;
  attributes.setAddress(SCHED_ATTR.runtime, nanoseconds);
  const set = libc.syscall(SYS_SCHED_SETATTR, CALLING_THREAD, attributes.address, 0, 0);
  checked("sched_setattr", Number(set));
}

/** Of this thread, in nanoseconds; 0 where the kernel does not say. */
export function timeSlice(): number {
  return readAttributes().getAddress(SCHED_ATTR.runtime);
}

function readAttributes(): NativeBuffer {
  const attributes = NativeBuffer.allocate(SCHED_ATTR.size);
  const got = libc.syscall(SYS_SCHED_GETATTR, CALLING_THREAD, attributes.address, SCHED_ATTR.size, 0);
  checked("sched_getattr", Number(got));
  return attributes;
}
