import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { copy, CopyBatch, CudaRuntime, type Device, fill } from "../../../cuda/index.ts";
import { unsafeReadU8 } from "../../../ffi/runtime/index.ts";
import { buildStandIn, controlStandIn, standInEnvironment } from "./build.ts";

const library = buildStandIn();
const control = controlStandIn(library);
const nothing = { device: 0, pinned: 0, registered: 0, peer: 0, streams: 0, events: 0 };

/** Runs `program` (the body of an async function) in a process of its own, on the stand-in. */
function inChild(
  program: string,
  environment: Record<string, string> = {},
): { output: string; exitCode: number | null } {
  const modules = join(import.meta.dir, "../../..");
  const source = `import * as cuda from "${modules}/cuda/index.ts";
    import { unsafeReadU8 } from "${modules}/ffi/runtime/index.ts";
    const device = cuda.CudaRuntime.open().device(0);
    ${program}`;
  const { stdout, exitCode } = Bun.spawnSync([process.execPath, "-e", source], {
    env: { ...process.env, ...standInEnvironment(library), ...environment },
  });
  return { output: stdout.toString().trim(), exitCode };
}

describe("the stand-in", () => {
  let device: Device;
  beforeAll(() => {
    device = CudaRuntime.open({ cudart: library, libcuda: library, nvrtc: library }).device(0);
  });
  afterAll(() => device.close());

  test("frees what a busy stream uses when the stream has passed, and not before", () => {
    using stream = device.createStream();
    const memory = device.allocate(8 << 20);
    for (let round = 0; round < 4; round++) fill(stream, memory, round);
    using target = device.allocatePinned(8 << 20);
    copy(stream, target, memory);
    memory.close();
    expect(control.alive().device).toBe(1);
    expect(stream.parked).toBe(1);
    stream.synchronize();
    expect(control.alive().device).toBe(0);
    expect(new Uint8Array(target.buffer).every((byte) => byte === 3)).toBe(true);
  });

  test("gives everything back, a thousand times over", () => {
    const before = control.alive();
    for (let round = 0; round < 1000; round++) {
      using stream = device.createStream();
      using event = device.createEvent();
      using memory = device.allocate(4096);
      fill(stream, memory, 1);
      event.record(stream);
    }
    expect(control.alive()).toEqual(before);
    expect(before).toEqual(nothing);
  });

  test("a failed call is typed, and the next one works", () => {
    control.fail("cudaMalloc", 1, 2);
    expect(() => device.allocate(4096)).toThrow(
      expect.objectContaining({
        kind: "CUDA_OUT_OF_MEMORY",
        call: "cudaMalloc",
        code: "cudaErrorMemoryAllocation",
      }),
    );
    device.allocate(4096).close();
  });

  test("work is refused on the legacy stream", () => {
    const { runtime } = device;
    using memory = device.allocate(16);
    expect(() => runtime.call("cudaMemsetAsync", memory.address, 0, 16, 0)).toThrow("cudaErrorInvalidResourceHandle");
  });

  test("a copy that fails while it runs is heard of at the stream, and closing still works", () => {
    using other = device.runtime.device(1);
    const stream = other.createStream();
    const memory = other.allocate(4096);
    control.fail("copy", 1, 719);
    copy(stream, memory.slice(0, 16), memory.slice(16, 16));
    expect(() => stream.synchronize()).toThrow(
      expect.objectContaining({ call: "cudaStreamQuery", code: "cudaErrorLaunchFailure" }),
    );
    expect(() => fill(stream, memory, 1)).toThrow("cudaErrorLaunchFailure");
    memory.close();
    stream.close();
    expect(control.alive()).toEqual(nothing);
  });

  test("a dma-buf that the driver cannot give is refused by name", () => {
    const { output } = inChild(
      `using memory = device.allocate(4096);
       try { cuda.DmaBuf.export(device, memory.address) } catch (error) { console.log(error.kind, error.call) }`,
      { KVWIRE_STAND_IN_DMA_BUF: "0" },
    );
    expect(output).toBe("CUDA_NOT_SUPPORTED cuMemGetHandleForAddressRange");
  });

  test("a stream that does not finish is a deadline, not a hang", () => {
    const { output } = inChild(
      `const stream = device.createStream(), memory = device.allocate(64 << 20);
       cuda.fill(stream, memory, 1);
       for (let i = 0; i < 50; i++) cuda.copy(stream, memory.slice(0, 32 << 20), memory.slice(32 << 20));
       try { stream.synchronize(1) } catch (error) { console.log(error.code) }
       process.exit(0);`,
    );
    expect(output).toBe("CUDA_DEADLINE");
  });

  test("a batch has the ninth parameter of CUDA 12 where the library is of that version", () => {
    const { output } = inChild(
      `using stream = device.createStream(), pinned = device.allocatePinned(64), memory = device.allocate(64);
       new Uint8Array(pinned.buffer).fill(9, 0, 32);
       const batch = new cuda.CopyBatch(2);
       batch.add(memory.address, pinned.address, 32);
       batch.submit(stream);
       batch.add(pinned.address + 32, memory.address, 32);
       batch.submit(stream);
       stream.synchronize();
       console.log(device.runtime.batchCopy.major, new Uint8Array(pinned.buffer).every((byte) => byte === 9));`,
      { KVWIRE_STAND_IN_MAJOR: "12" },
    );
    expect(output).toBe("12 true");
  });

  test("where a batch is refused, its copies are submitted one by one", () => {
    using stream = device.createStream();
    using pinned = device.allocatePinned(64);
    new Uint8Array(pinned.buffer).fill(5, 0, 32);
    const batch = new CopyBatch(1);
    batch.add(pinned.address + 32, pinned.address, 32);
    control.fail("cudaMemcpyBatchAsync", 1, 801);
    batch.submit(stream);
    stream.synchronize();
    expect(new Uint8Array(pinned.buffer).every((byte) => byte === 5)).toBe(true);
    batch.add(pinned.address, pinned.address + 32, 32);
    control.fail("cudaMemcpyAsync", 1, 1);
    expect(() => batch.submit(stream)).toThrow("cudaMemcpyAsync answered cudaErrorInvalidValue (1)");
  });

  test("a batch that is full, or empty, says so or does nothing", () => {
    using stream = device.createStream();
    const batch = new CopyBatch(1);
    batch.submit(stream);
    batch.add(1, 1, 1);
    expect(() => batch.add(1, 1, 1)).toThrow("a batch of 1 copies is full");
  });

  test("a copy to freed memory is an illegal address", () => {
    const { output } = inChild(
      `using stream = device.createStream(); const memory = device.allocate(4096), { address } = memory;
       memory.close();
       try { cuda.copy(stream, cuda.unsafeSpan(address, 16), cuda.unsafeSpan(device.runtime.out.address, 16)); stream.synchronize() }
       catch (error) { console.log(error.code) }`,
    );
    expect(output).toBe("cudaErrorIllegalAddress");
  });

  test("following a device pointer on the CPU is a crash", () => {
    const { exitCode } = inChild(
      "using memory = device.allocate(4096); unsafeReadU8(memory.address); process.exit(0);",
    );
    expect(exitCode).not.toBe(0);
  });

  test("streams overtake each other in an order that the seed draws", () => {
    const order = (seed: number): string =>
      inChild(
        `using a = device.createStream(), b = device.createStream(), log = device.allocatePinned(64);
         const bytes = new Uint8Array(log.buffer);
         // Both streams write the same byte; the last one wins, place by place.
         for (let i = 0; i < 64; i++) { cuda.fill(a, log.slice(i, 1), 1); cuda.fill(b, log.slice(i, 1), 2); }
         a.synchronize(); b.synchronize();
         console.log(bytes.join(""));`,
        { KVWIRE_STAND_IN_SEED: String(seed) },
      ).output;
    const orders = [1, 2, 3].map(order);
    expect(orders.every((text) => /^[12]{64}$/.test(text))).toBe(true);
    expect(orders.some((text) => text.includes("1") && text.includes("2"))).toBe(true);
  });
});

test("this process's own view of pinned memory is plain memory", () => {
  using device = CudaRuntime.open({ cudart: library, libcuda: library }).device(0);
  using pinned = device.allocatePinned(16);
  new Uint8Array(pinned.buffer)[3] = 7;
  expect(unsafeReadU8(pinned.address, 3)).toBe(7);
});
