import { afterAll, expect, test } from "bun:test";
import { Mapping, ProcessMemory } from "../../../ffi/libc/index.ts";

const PAGES = 3_000;
const child = Bun.spawn([process.execPath, `${import.meta.dir}/process-memory.child.ts`, String(PAGES * 4096)], {
  stdin: "pipe",
  stdout: "pipe",
});
const lines = child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
afterAll(() => child.kill("SIGKILL"));

async function answer(): Promise<string> {
  return (await lines.next()).value!.trim();
}

test("pages written from many places land where they should in another process, across batches", async () => {
  const destination = Number(await answer());
  using source = Mapping.allocate(PAGES * 4096);
  const words = new Uint32Array(source.buffer);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 2654435761);
  const memory = new ProcessMemory(child.pid);
  // Backwards, so that no two entries join: 3,000 entries are three calls.
  for (let page = PAGES - 1; page >= 0; page--) {
    const offset = page * 4096;
    if (!memory.add(source.address + offset, destination + offset, 4096)) {
      memory.flush();
      expect(memory.add(source.address + offset, destination + offset, 4096)).toBe(true);
    }
  }
  memory.flush();
  expect(memory.pending).toBe(0);
  child.stdin.write("hash\n");
  await child.stdin.flush();
  expect(await answer()).toBe(String(Bun.hash(source.bytes)));
});

test("neighbours become one entry, and a place that is not mapped is EFAULT", () => {
  using source = Mapping.allocate(4096);
  const memory = new ProcessMemory(child.pid);
  for (let i = 0; i < 4_096; i++) expect(memory.add(source.address + i, 4096 + i, 1)).toBe(true);
  expect(memory.pending).toBe(4_096);
  expect(() => memory.flush()).toThrow(expect.objectContaining({ code: "EFAULT", call: "process_vm_writev" }));
  expect(memory.pending).toBe(0);
});

test("a process that has ended is ESRCH", async () => {
  using source = Mapping.allocate(4096);
  const gone = Bun.spawn(["true"]);
  await gone.exited;
  const memory = new ProcessMemory(gone.pid);
  memory.add(source.address, source.address, 16);
  expect(() => memory.flush()).toThrow(expect.objectContaining({ code: "ESRCH" }));
});
