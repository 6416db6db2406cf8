import { z } from "zod";
import { Gpus } from "../gpu/index.ts";
import { HostTransport } from "../host/index.ts";
import type { TransportFactory } from "../transport.ts";
import { ExposedPool } from "./exposed-pool.ts";
import { GpuWriter } from "./gpu-writer.ts";

const optionsSchema = z.strictObject({
  /** `auto` writes into the other GPU's memory where the two reach each other, and by way of the host where not. */
  route: z.enum(["auto", "peer", "staged"]).default("auto"),
  /** Runs shorter than this on average are copied by a kernel, longer ones by the copy engines; unset: by what the path is best at. */
  kernelBelowBytes: z.int().nonnegative().optional(),
});

/** Pools in GPU memory, between processes of one host. */
export const createCudaIpcTransport: TransportFactory = (context) => {
  const options = optionsSchema.parse(context.options);
  const pages = context.buffers.slice(0, context.layout.buffers.length);
  const aux = context.buffers.slice(context.layout.buffers.length);
  const ordinals = new Set(pages.map(({ gpu }) => gpu));
  const [ordinal] = ordinals;
  if (ordinal === undefined) return { unusable: "the pages are not on a GPU" };
  if (ordinals.size > 1) return { unusable: `the pages are on several GPUs: ${[...ordinals].join(", ")}` };
  const closed = context.role === "decode" ? aux.findIndex(({ share }) => !share) : -1;
  if (closed >= 0) return { unusable: `aux buffer ${closed} is not shared memory of the library's allocator` };

  const gpus = new Gpus();
  const device = gpus.device(ordinal);
  // Compiled, or fetched from the cache, before the first pair needs them.
  if (context.role === "prefill") gpus.kernels(device);
  return new HostTransport(context, {
    name: "cuda-ipc",
    writers: { open: (_pid, regions) => new GpuWriter(gpus, device, regions, options) },
    memory: new ExposedPool(device, context.role === "decode" ? context.buffers : []),
    close: () => gpus.close(),
  });
};
