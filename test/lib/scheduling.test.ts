import { expect, test } from "bun:test";

interface Scheduling {
  /** Nanoseconds, before and after the manager was made; 0 where the kernel has no slices. */
  readonly before: number;
  readonly after: number;
  /** Of the compilers. */
  readonly nices: readonly number[];
}

async function withPromptThreads(promptThreads: boolean): Promise<Scheduling> {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/scheduling.child.ts`, String(promptThreads)]);
  const [output, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  expect(code).toBe(0);
  return JSON.parse(output) as Scheduling;
}

test("a manager's process has its compilers give way, and its engine's thread a short slice", async () => {
  const { before, after, nices } = await withPromptThreads(true);
  if (before > 0) expect(after).toBe(100_000);
  // One that starts later is as the runtime makes it.
  expect(nices).toContain(15);
});

test("without promptThreads all threads stay as they are", async () => {
  const { before, after, nices } = await withPromptThreads(false);
  expect(after).toBe(before);
  expect(nices).not.toContain(15);
});
