import { expect, test } from "bun:test";
import { closeSync, ftruncateSync, openSync, readFileSync } from "node:fs";
import { findSharedMapping, HUGE_PAGE_BYTES, isOpenDescriptor, Mapping } from "../../../ffi/libc/index.ts";

const MiB = 1024 * 1024;
const isMapped = (address: number): boolean =>
  readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .some((line) => {
      const [from, to] = line
        .split(" ")[0]!
        .split("-")
        .map((text) => Number.parseInt(text, 16));
      return address >= from! && address < to!;
    });

test("private memory is zeroed, writable and given back on close", () => {
  const mapping = Mapping.allocate(3 * MiB);
  expect(mapping.address % HUGE_PAGE_BYTES).toBe(0);
  expect(mapping.share).toBeUndefined();
  expect(mapping.bytes.every((byte) => byte === 0)).toBe(true);
  mapping.bytes.fill(7);
  expect(mapping.bytes[3 * MiB - 1]).toBe(7);
  expect(isMapped(mapping.address)).toBe(true);
  mapping.close();
  mapping.close();
  expect(isMapped(mapping.address)).toBe(false);
});

test("views of a closed mapping are empty instead of faulting", () => {
  const mapping = Mapping.allocate(1 * MiB);
  const { bytes } = mapping;
  const words = new Float64Array(mapping.buffer, 8, 16);
  const sum = (view: Uint8Array): number => {
    let total = 0;
    for (let i = 0; i < 1000; i++) total += view[i] ?? 0;
    return total;
  };
  bytes.fill(1);
  for (let i = 0; i < 5_000; i++) sum(bytes);
  mapping.close();
  expect(sum(bytes)).toBe(0);
  bytes[5] = 3;
  expect([bytes.length, words.length]).toEqual([0, 0]);
  expect(bytes[5]).toBeUndefined();
  expect(() => mapping.buffer).toThrow("closed");
});

test("a mapping larger than an ArrayBuffer can be is seen in parts, which are detached with it", () => {
  const GiB = 1024 * MiB;
  const mapping = Mapping.allocate(20 * GiB);
  expect(() => mapping.buffer).toThrow(RangeError);
  const part = new Uint8Array(mapping.view(19 * GiB, 16));
  part[3] = 5;
  expect(new Uint8Array(mapping.view(19 * GiB + 3, 1))[0]).toBe(5);
  expect(() => mapping.view(19 * GiB, 2 * GiB)).toThrow("mapping of");
  mapping.close();
  expect(part.length).toBe(0);
});

test("a shared mapping can be mapped again by its descriptor, at an offset, and sees the same bytes", () => {
  using mapping = Mapping.allocate(5 * MiB, { shared: true, populate: true });
  const { fd } = mapping.share!;
  using second = Mapping.ofFd(fd, 2 * MiB, 1 * MiB);
  expect(second.address).not.toBe(mapping.address);
  second.bytes.set([1, 2, 3]);
  expect([...mapping.bytes.subarray(2 * MiB, 2 * MiB + 3)]).toEqual([1, 2, 3]);
  mapping.bytes[3 * MiB - 1] = 9;
  expect(second.bytes[1 * MiB - 1]).toBe(9);
});

test("a peer's mapping survives the closing of the descriptor and mapping that it was made from", () => {
  const mapping = Mapping.allocate(1 * MiB, { shared: true });
  using second = Mapping.ofFd(mapping.share!.fd, 0, 1 * MiB);
  mapping.bytes[10] = 42;
  mapping.close();
  expect(second.bytes[10]).toBe(42);
});

test("the table tells where a buffer stands in a memfd, and forgets closed mappings", () => {
  const mapping = Mapping.allocate(2 * MiB, { shared: true });
  using other = Mapping.allocate(2 * MiB);
  const { fd } = mapping.share!;
  expect(findSharedMapping(mapping.address + 4096, 8192)).toEqual({ fd, offset: 4096 });
  expect(findSharedMapping(mapping.address, 2 * MiB)).toEqual({ fd, offset: 0 });
  expect(findSharedMapping(mapping.address + 4096, 2 * MiB)).toBeUndefined();
  expect(findSharedMapping(other.address, 16)).toBeUndefined();
  mapping.close();
  expect(findSharedMapping(mapping.address + 4096, 8192)).toBeUndefined();
});

test("closing takes the memory from JavaScript at once and from native code with the last lease", () => {
  const mapping = Mapping.allocate(1 * MiB, { shared: true });
  const first = mapping.lease();
  const second = mapping.lease();
  const { bytes } = mapping;
  mapping.close();
  expect(bytes.length).toBe(0);
  first.release();
  first.release();
  expect(isMapped(mapping.address)).toBe(true);
  expect(isOpenDescriptor(mapping.share!.fd)).toBe(true);
  second.release();
  expect(isMapped(mapping.address)).toBe(false);
  expect(isOpenDescriptor(mapping.share!.fd)).toBe(false);
  expect(() => mapping.lease()).toThrow("closed");
});

test("mapping and closing 2,000 times leaves no descriptor and no mapping behind", () => {
  const count = (): number => readFileSync("/proc/self/maps", "utf8").split("\n").length;
  const before = count();
  for (let i = 0; i < 2_000; i++) {
    using mapping = Mapping.allocate(i % 2 ? 64 * 1024 : 3 * MiB, { shared: i % 3 === 0 });
    if (mapping.share) {
      using second = Mapping.ofFd(mapping.share.fd, 0, mapping.byteLength);
      expect(second.closed).toBe(false);
    }
  }
  expect(count()).toBeLessThan(before + 50);
});

test("what cannot be mapped is a typed error that names the call", () => {
  expect(() => Mapping.allocate(0)).toThrow(RangeError);
  expect(() => Mapping.allocate(1.5)).toThrow("whole number");
  expect(() => Mapping.allocate(2 ** 47)).toThrow(
    expect.objectContaining({ name: "LibcError", code: "ENOMEM", call: "mmap" }),
  );
  using mapping = Mapping.allocate(MiB, { shared: true });
  expect(() => Mapping.ofFd(mapping.share!.fd, 100, 4096)).toThrow(expect.objectContaining({ code: "EINVAL" }));
  expect(() => Mapping.ofFd(mapping.share!.fd, 0, MiB + 1)).toThrow("at least 1048577 bytes, not 1048576");
  expect(() => ftruncateSync(mapping.share!.fd, 4096)).toThrow("EPERM");
  const file = openSync(import.meta.path, "r");
  expect(() => Mapping.ofFd(file, 0, 16)).toThrow("expected a memfd");
  closeSync(file);
  expect(() => Mapping.ofFd(-1, 0, 4096)).toThrow(expect.objectContaining({ code: "EBADF" }));
});
