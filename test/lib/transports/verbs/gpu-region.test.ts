import { expect, test } from "bun:test";
import { join } from "node:path";
import { mergeRanges } from "../../../../lib/transports/verbs/regions.ts";
import { buildStandIn, standInEnvironment } from "../../../cuda/stand-in/build.ts";

/** What a protection domain is asked to register for `byteLength` bytes at 8,192 of a GPU's allocation. */
function registered(environment: Record<string, string>): unknown {
  const root = join(import.meta.dir, "../../../..");
  const source = `import { CudaRuntime } from "${root}/cuda/index.ts";
    import { registerGpuMemory } from "${root}/lib/transports/verbs/gpu-region.ts";
    import { fstatSync } from "node:fs";
    using memory = CudaRuntime.open().device(0).allocate(1 << 20);
    const asked = {
      registerDmaBuf: ({ fd, offset, byteLength }, { access, iova }) =>
        ({ way: "dma-buf", open: fstatSync(fd).size > 0, offset, byteLength, access, iova: iova - memory.address }),
      registerMemory: ({ address, byteLength }, { access }) =>
        ({ way: "address", offset: address - memory.address, byteLength, access }),
    };
    console.log(JSON.stringify(registerGpuMemory(asked, { address: memory.address + 8192, byteLength: 65536 }, 0, 3)));`;
  const env = { ...process.env, ...standInEnvironment(buildStandIn()), ...environment };
  return JSON.parse(Bun.spawnSync([process.execPath, "-e", source], { env }).stdout.toString());
}

test("device memory is registered as a dma-buf, named by its own address", () => {
  expect(registered({})).toEqual({
    way: "dma-buf",
    open: true,
    offset: 8192,
    byteLength: 65_536,
    access: 3,
    iova: 8192,
  });
});

test("where the driver has no dma-buf, it is registered by its address, for nvidia-peermem", () => {
  expect(registered({ KVWIRE_STAND_IN_DMA_BUF: "0" })).toEqual({
    way: "address",
    offset: 8192,
    byteLength: 65_536,
    access: 3,
  });
});

test("buffers of a GPU that touch are registered one by one, those of the host as one", () => {
  const of = (address: number, gpu?: number) => ({ address, byteLength: 100, ...(gpu === undefined ? {} : { gpu }) });
  expect(mergeRanges([of(200, 0), of(100, 0), of(1000), of(1100), of(1200, 0)])).toEqual([
    of(100, 0),
    of(200, 0),
    { address: 1000, byteLength: 200 },
    of(1200, 0),
  ]);
});
