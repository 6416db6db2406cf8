import { expect, test } from "bun:test";
import {
  closeDescriptor,
  duplicateDescriptor,
  errnoName,
  EventFd,
  isOpenDescriptor,
  LibcError,
  PidFd,
  PollEvent,
  PollSet,
} from "../../../ffi/libc/index.ts";

test("an eventfd wakes poll once signalled and is quiet once drained", () => {
  using event = EventFd.create();
  const set = new PollSet();
  set.add(event.fd, true, false);
  expect(set.wait(0)).toBe(0);
  expect(event.drain()).toBe(false);
  event.signal();
  event.signal();
  expect(set.wait(1_000)).toBe(1);
  expect(set.readyEvents(0)).toBe(PollEvent.IN);
  expect(event.drain()).toBe(true);
  expect(event.drain()).toBe(false);
  expect(set.wait(0)).toBe(0);
});

test("a borrowed eventfd signals the same counter and leaves the descriptor open", () => {
  using event = EventFd.create();
  const borrowed = EventFd.borrow(event.fd);
  borrowed.signal();
  borrowed.close();
  expect(isOpenDescriptor(event.fd)).toBe(true);
  expect(event.drain()).toBe(true);
});

test("a poll set grows past its first size and reports by index", () => {
  const events = Array.from({ length: 100 }, () => EventFd.create());
  const set = new PollSet();
  for (const event of events) set.add(event.fd, true, true);
  events[77]!.signal();
  expect(set.wait(0)).toBe(100);
  expect(set.readyEvents(77)).toBe(PollEvent.IN | PollEvent.OUT);
  expect(set.readyEvents(76)).toBe(PollEvent.OUT);
  for (const event of events) event.close();
});

test("a duplicate outlives the descriptor it was made from", () => {
  const event = EventFd.create();
  const duplicate = duplicateDescriptor(event.fd);
  event.close();
  event.close();
  expect(isOpenDescriptor(duplicate)).toBe(true);
  closeDescriptor(duplicate);
  expect(isOpenDescriptor(duplicate)).toBe(false);
  expect(() => closeDescriptor(duplicate)).toThrow(expect.objectContaining({ code: "EBADF", call: "close" }));
});

test("a pidfd becomes readable when its process is killed", async () => {
  const child = Bun.spawn(["cat"], { stdin: "pipe" });
  using pidfd = PidFd.open(child.pid);
  const set = new PollSet();
  set.add(pidfd.fd, true, false);
  expect(set.wait(0)).toBe(0);
  child.kill("SIGKILL");
  expect(set.wait(5_000)).toBe(1);
  await child.exited;
  expect(() => PidFd.open(2 ** 22 + 5)).toThrow(LibcError);
});

test("errors carry the errno by name and by number", () => {
  expect(errnoName(11)).toBe("EAGAIN");
  expect(errnoName(110)).toBe("ETIMEDOUT");
  expect(new LibcError("mmap", 12, "4096 bytes")).toMatchObject({ code: "ENOMEM", errno: 12, call: "mmap" });
});
