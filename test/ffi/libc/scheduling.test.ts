import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { listThreads, setNice, setTimeSlice, timeSlice } from "../../../ffi/libc/index.ts";
import { niceOf } from "./nice.ts";

test("threads are listed by id and name, the first among them", () => {
  const threads = listThreads();
  const own = threads.find(({ id }) => id === process.pid);
  expect(own?.name).toBe(readFileSync("/proc/self/comm", "utf8").trimEnd());
  expect(threads.length).toBeGreaterThan(1);
});

test("a thread's nice value is raised, and no other thread's", async () => {
  const worker = new Worker("data:text/javascript,postMessage(0)");
  await new Promise((resolve) => worker.addEventListener("message", resolve));
  const before = new Map(listThreads().map(({ id }) => [id, niceOf(id)]));
  const { id } = listThreads().at(-1)!;
  expect(id).not.toBe(process.pid);
  setNice(id, 19);
  expect(niceOf(id)).toBe(19);
  expect(niceOf(process.pid)).toBe(before.get(process.pid)!);
  expect(() => setNice(2 ** 22 + 1, 19)).toThrow(expect.objectContaining({ code: "ESRCH", call: "setpriority" }));
  worker.terminate();
});

test("a time slice is what was asked for where the kernel has any, and the rest stays", () => {
  const had = timeSlice();
  setTimeSlice(200_000);
  const nice = niceOf(process.pid);
  expect([0, 200_000]).toContain(timeSlice());
  expect(niceOf(process.pid)).toBe(nice);
  if (had > 0) setTimeSlice(had);
  expect(timeSlice()).toBe(had);
});
