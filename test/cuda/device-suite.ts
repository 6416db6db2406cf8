import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fstatSync } from "node:fs";
import { join } from "node:path";
import {
  checksum,
  copy,
  CopyBatch,
  CopyKernels,
  CudaRuntime,
  type Device,
  DeviceAttribute,
  type DeviceMemory,
  DmaBuf,
  exportEvent,
  exportMemory,
  fill,
  type LibraryPaths,
  PeerMemory,
  type PinnedMemory,
  pointerAttributes,
  type Stream,
  tilesOf,
} from "../../cuda/index.ts";
import { NativeBuffer } from "../../ffi/runtime/index.ts";

/** Where the suite runs: on NVIDIA's libraries with a GPU, or on the stand-in. */
export interface Ground {
  readonly paths: LibraryPaths;
  readonly environment: Readonly<Record<string, string>>;
}

const kib = 1024;

/** Bytes that tell their place and `seed`, in pinned memory. */
function pattern(device: Device, byteLength: number, seed: number): PinnedMemory {
  const memory = device.allocatePinned(byteLength);
  const bytes = new Uint8Array(memory.buffer);
  for (let i = 0; i < byteLength; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + seed) & 255;
  return memory;
}

function download(stream: Stream, memory: DeviceMemory): Uint8Array {
  using host = memory.device.allocatePinned(memory.byteLength);
  copy(stream, host, memory);
  stream.synchronize();
  return new Uint8Array(host.buffer).slice();
}

function upload(stream: Stream, bytes: Float64Array): DeviceMemory {
  using host = stream.device.allocatePinned(bytes.byteLength);
  new Float64Array(host.buffer).set(bytes);
  const memory = stream.device.allocate(bytes.byteLength);
  copy(stream, memory, host);
  stream.synchronize();
  return memory;
}

/** What a device must do, wherever it is: run on the stand-in by every `bun test`, on a GPU where there is one. */
export function describeDevice(title: string, ground: () => Ground, skip: boolean): void {
  describe.skipIf(skip)(title, () => {
    let runtime: CudaRuntime;
    let device: Device;
    let stream: Stream;
    beforeAll(() => {
      runtime = CudaRuntime.open(ground().paths);
      device = runtime.device(0);
      stream = device.createStream();
    });
    afterAll(() => device.close());

    test("a device has a name and a PCI address by which it is found again", () => {
      expect(device.name.length).toBeGreaterThan(0);
      expect(device.pciBusId).toMatch(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.0$/);
      expect(runtime.deviceAt(device.pciBusId)).toBe(device);
      expect(device.memory().total).toBeGreaterThan(0);
    });

    test("bytes go to the device and come back", () => {
      using source = pattern(device, 300 * kib + 13, 5);
      using memory = device.allocate(source.byteLength);
      copy(stream, memory, source);
      expect(download(stream, memory)).toEqual(new Uint8Array(source.buffer));
    });

    test("pointer attributes tell device, pinned and ordinary memory apart", () => {
      using memory = device.allocate(4 * kib);
      using pinned = device.allocatePinned(4 * kib);
      expect(pointerAttributes(runtime, memory.address + 100)).toMatchObject({ type: "device", device: 0 });
      expect(pointerAttributes(runtime, pinned.address).type).toBe("host");
      expect(pointerAttributes(runtime, runtime.out.address).type).toBe("unregistered");
    });

    test("memory that is mapped already can be pinned and copied from", () => {
      using host = device.allocatePinned(64 * kib);
      using memory = device.allocate(64 * kib);
      const plain = NativeBuffer.allocate(64 * kib);
      plain.bytes.fill(77);
      using registration = device.registerHost(plain.address, plain.byteLength);
      expect(pointerAttributes(runtime, registration.address).type).toBe("host");
      copy(stream, memory, registration);
      copy(stream, host, memory);
      stream.synchronize();
      expect(new Uint8Array(host.buffer).every((byte) => byte === 77)).toBe(true);
    });

    test("an event orders one stream behind another, and tells the time between two marks", () => {
      using other = device.createStream();
      using source = pattern(device, 512 * kib, 9);
      using memory = device.allocate(source.byteLength);
      using start = device.createEvent({ timing: true });
      using end = device.createEvent({ timing: true });
      using back = device.allocatePinned(source.byteLength);
      start.record(stream);
      copy(stream, memory, source);
      end.record(stream);
      other.waitFor(end);
      copy(other, back, memory);
      other.synchronize();
      expect(new Uint8Array(back.buffer)).toEqual(new Uint8Array(source.buffer));
      expect(end.reached()).toBe(true);
      expect(end.millisecondsSince(start)).toBeGreaterThanOrEqual(0);
    });

    test("closing memory that a stream still uses frees it when the stream has passed", () => {
      using target = device.allocatePinned(256 * kib);
      const before = stream.parked;
      const memory = device.allocate(256 * kib);
      for (let round = 0; round < 8; round++) fill(stream, memory, round);
      fill(stream, memory, 42);
      copy(stream, target, memory);
      memory.close();
      expect(() => memory.address).toThrow("DeviceMemory is closed");
      stream.synchronize();
      expect(stream.parked).toBe(before);
      expect(new Uint8Array(target.buffer).every((byte) => byte === 42)).toBe(true);
    });

    test("views of pinned memory are empty once it is closed", () => {
      const memory = device.allocatePinned(4 * kib);
      const view = new Uint8Array(memory.buffer);
      memory.close();
      expect(view.length).toBe(0);
    });

    test("a batch puts every copy where it belongs", () => {
      using source = pattern(device, 256 * kib, 3);
      using scattered = device.allocate(source.byteLength);
      const batch = new CopyBatch(64);
      const piece = 4 * kib;
      for (let i = 0; i < 64; i++) {
        batch.add(scattered.address + ((i * 37) % 64) * piece, source.address + i * piece, piece);
      }
      expect(batch.full).toBe(true);
      batch.submit(stream, [source, scattered]);
      const bytes = download(stream, scattered);
      const from = new Uint8Array(source.buffer);
      for (let i = 0; i < 64; i++) {
        const at = ((i * 37) % 64) * piece;
        expect(bytes.subarray(at, at + piece)).toEqual(from.subarray(i * piece, (i + 1) * piece));
      }
    });

    /** Sizes and alignments that take every path of the kernel: 16-byte, 4-byte and single-byte copies, with tails. */
    const lengths = [16, 4096, 32 * kib + 16, 100, 33, 70_000, 1, 4098];
    test.each([false, true])("the run kernel copies runs of any size and alignment; over a link: %p", (far) => {
      using kernels = CopyKernels.load(device);
      const half = 256 * kib;
      using source = pattern(device, 2 * half, 11);
      using from = device.allocate(source.byteLength);
      using to = device.allocate(source.byteLength);
      copy(stream, from, source);
      fill(stream, to, 0);
      const expected = new Uint8Array(source.byteLength);
      const [sources, destinations]: [number[], number[]] = [[], []];
      let at = 0;
      for (const [index, length] of lengths.entries()) {
        const [sourceAt, destinationAt] = [at + (index % 3), at + (index % 2) * 5];
        sources.push(from.address + sourceAt);
        destinations.push(to.address + destinationAt);
        expected.set(new Uint8Array(source.buffer, sourceAt, length), destinationAt);
        expected.set(new Uint8Array(source.buffer, half + sourceAt, length), half + destinationAt);
        at += length + 16 - (length % 16) + 16;
      }
      // Two buffers: the second lies behind the first on both sides.
      const bases = [0, half, 0, half];
      const firstTiles = [0];
      for (const length of lengths) firstTiles.push(firstTiles.at(-1)! + tilesOf(length));
      using table = upload(
        stream,
        Float64Array.from([...bases, ...destinations, ...sources, ...lengths, ...firstTiles]),
      );
      const [destinationBases, sourceBases, rest] = [table.address, table.address + 16, table.address + 32];
      const [runs, row] = [lengths.length, lengths.length * 8];
      const [destination, source_, length, firstTile] = [0, 1, 2, 3].map((column) => rest + column * row) as [
        number,
        number,
        number,
        number,
      ];
      const columns = { destination, source: source_, length, firstTile, destinationBases, sourceBases };
      const all = { ...columns, runs, tiles: firstTiles.at(-1)!, buffers: 2 };
      kernels.copyRuns(stream, all, { longest: Math.max(...lengths), far });
      expect(download(stream, to)).toEqual(expected);
    });

    test("the row kernel copies rows between different pitches", () => {
      using kernels = CopyKernels.load(device);
      using source = pattern(device, 128 * kib, 2);
      using from = device.allocate(source.byteLength);
      using to = device.allocate(source.byteLength);
      copy(stream, from, source);
      fill(stream, to, 0);
      const [rows, rowBytes, sourcePitch, destinationPitch] = [16, 512, 2048, 1024];
      const blocks = [3, 1, 0].map((page, index) => ({ from: page * 32_768, to: index * 20_480 }));
      const expected = new Uint8Array(source.byteLength);
      for (const block of blocks) {
        for (let row = 0; row < rows; row++) {
          const bytes = new Uint8Array(source.buffer, block.from + row * sourcePitch, rowBytes);
          expected.set(bytes, block.to + row * destinationPitch);
        }
      }
      const offsets = [...blocks.map((one) => one.to), ...blocks.map((one) => one.from)];
      using table = upload(stream, Float64Array.from([...offsets, to.address, from.address]));
      const runs = blocks.length;
      const [destination, source_, bases] = [0, runs * 8, 2 * runs * 8].map((at) => table.address + at) as [
        number,
        number,
        number,
      ];
      kernels.copyRows(
        stream,
        { destination, source: source_, runs, destinationBases: bases, sourceBases: bases + 8, buffers: 1 },
        { rows, rowBytes, destinationPitch, sourcePitch },
      );
      expect(download(stream, to)).toEqual(expected);
    });

    test("checksums on the device are those of the processor, and one changed byte changes them", () => {
      using kernels = CopyKernels.load(device);
      using source = pattern(device, 12_345, 1);
      using memory = device.allocate(source.byteLength);
      using table = upload(stream, Float64Array.from([memory.address, memory.address + 1000, 12_345, 11_345]));
      using sums = device.allocatePinned(16);
      const sum = (): bigint[] => {
        copy(stream, memory, source);
        kernels.checksumRuns(stream, table.address, table.address + 16, 2, sums.address);
        stream.synchronize();
        return [...new BigUint64Array(sums.buffer)];
      };
      const bytes = new Uint8Array(source.buffer);
      const before = sum();
      expect(before).toEqual([checksum(bytes), checksum(bytes.subarray(1000))]);
      bytes[7000]! ^= 1;
      expect(sum()).not.toEqual(before);
    });

    test("another process writes into exported memory and its event says when", async () => {
      using memory = device.allocate(1 << 21);
      using zero = device.createEvent({ interprocess: true });
      fill(stream, memory, 0);
      zero.record(stream);
      const { handle, offset, byteLength } = exportMemory(device, memory.address + 4096);
      expect({ offset, byteLength: byteLength >= 1 << 21 }).toEqual({ offset: 4096, byteLength: true });
      const child = Bun.spawn([process.execPath, join(import.meta.dir, "ipc-child.ts")], {
        env: { ...process.env, ...ground().environment },
        stdin: "pipe",
        stdout: "pipe",
        stderr: "inherit",
      });
      const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
      child.stdin.write(
        `${JSON.stringify({ memory: toHex(handle), byteLength, offset, event: toHex(exportEvent(zero)) })}\n`,
      );
      await child.stdin.flush();
      const reader = child.stdout.getReader();
      const line = new TextDecoder().decode((await reader.read()).value);
      expect(line.trim()).toBe("written");
      const bytes = download(stream, memory);
      expect(bytes.subarray(0, 4096).every((byte) => byte === 0)).toBe(true);
      const expected = Uint8Array.from({ length: 8192 }, (_, i) => (i * 13) & 255);
      expect(bytes.subarray(4096, 4096 + 8192)).toEqual(expected);
      child.stdin.end();
      expect(await child.exited).toBe(0);
    });

    test("device memory is exported as a dma-buf for network cards where the device can, and refused by name where not", () => {
      using memory = device.allocate(3 << 20);
      const { address } = memory;
      if (device.attribute(DeviceAttribute.dmaBufSupported) === 0) {
        expect(() => DmaBuf.export(device, address)).toThrow(expect.objectContaining({ kind: "CUDA_NOT_SUPPORTED" }));
        return;
      }
      const buffer = DmaBuf.export(device, address + 4096);
      expect(buffer.range.base).toBeLessThanOrEqual(address);
      expect(buffer.range.base + buffer.range.byteLength).toBeGreaterThanOrEqual(address + (3 << 20));
      expect(fstatSync(buffer.fd).ino).toBeGreaterThan(0);
      buffer.close();
      expect(() => fstatSync(buffer.fd)).toThrow("EBADF");
    });

    test("what a process exported it cannot open itself", () => {
      using memory = device.allocate(4096);
      const { handle, byteLength } = exportMemory(device, memory.address);
      expect(() => PeerMemory.open(device, { handle, byteLength })).toThrow(
        expect.objectContaining({ name: "CudaError", call: "cudaIpcOpenMemHandle" }),
      );
    });

    test("a device closes what was made on it", () => {
      const own = CudaRuntime.open(ground().paths).device(0);
      const memory = own.allocate(4096);
      const made = own.createStream();
      fill(made, memory, 1);
      own.close();
      expect([memory.closed, made.closed, own.children.size]).toEqual([true, true, 0]);
    });
  });
}
