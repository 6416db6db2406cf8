/**
 * Which processor a side of the ping-pong has to itself. Both sides spin: where the scheduler puts them on one, each waits
 * for the other's time slice, milliseconds, and that would be what is measured.
 */
export const processors = { client: 0, server: 1 } as const;

/** The command on that processor alone. */
export function on(processor: number, command: readonly string[]): string[] {
  return ["taskset", "--cpu-list", String(processor), ...command];
}

/** Moves a process's main thread there; its other threads, compilers and collectors, stay free. */
export function pin(pid: number, processor: number): void {
  const { exitCode, stderr } = Bun.spawnSync(["taskset", "--cpu-list", "--pid", String(processor), String(pid)]);
  if (exitCode !== 0) throw new Error(`taskset: ${stderr.toString().trim()}`);
}
