import { LibcError, listThreads, setNice, setTimeSlice } from "../ffi/libc/index.ts";

/** The shortest that the kernel takes. */
const SLICE_NS = 100_000;
/** A thirtieth of a processor that others want all of: with the least, code on a machine that is always busy is never compiled. */
const COMPILER_NICE = 15;
/** JavaScriptCore's compilers, as its threads are named. */
const COMPILER = /^(JITWorker|JSCWarmUp)/;

/**
 * A room is a dozen wakings of one thread by another. Where there are fewer processors than threads, each finds whoever
 * runs in the middle of a slice of 3 ms; with a short one of its own it need not wait for the end of that.
 */
export function runPromptly(): void {
  attempt(() => setTimeSlice(SLICE_NS));
}

/** Who compiles gives way to who works; on a processor that nobody else wants it compiles as fast as ever. */
export function deferCompilers(): void {
  for (const { id, name } of listThreads()) if (COMPILER.test(name)) attempt(() => setNice(id, COMPILER_NICE));
}

/** A sandbox may forbid it: then rooms only take longer. */
function attempt(set: () => void): void {
  try {
    set();
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
  }
}
