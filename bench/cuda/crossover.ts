import { CopyKernels, CudaRuntime, type Device, type DeviceMemory } from "../../cuda/index.ts";
import { RunCopier, RunSlot, TABLE_RUNS } from "../../lib/transports/gpu/index.ts";
import { median } from "../table.ts";

const ROUNDS = 5;
export const runLengths = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304] as const;

export interface Crossover {
  readonly runBytes: number;
  readonly kernelGBs: number;
  readonly copiesGBs: number;
}

/** Scattered runs of one length, `bytes` in all, by kernel and by the copy engines: where `kernelBelowBytes` should be. */
export function crossover(gpus: readonly [number, number], bytes: number): Crossover[] {
  const runtime = CudaRuntime.open();
  const [source, target] = gpus.map((ordinal) => runtime.device(ordinal)) as [Device, Device];
  if (source !== target) source.enableAccess(target);
  using kernels = CopyKernels.load(source);
  using from = source.allocate(bytes);
  using to = target.allocate(bytes);
  const measureBy = (kernelBelowBytes: number, runBytes: number): number => {
    const copier = new RunCopier({ device: source, kernels }, { kernelBelowBytes }, source !== target);
    const speed = measure(copier, from, to, runBytes);
    copier.close();
    return speed;
  };
  return runLengths.map((runBytes) => ({
    runBytes,
    kernelGBs: measureBy(Infinity, runBytes),
    copiesGBs: measureBy(0, runBytes),
  }));
}

function measure(copier: RunCopier, from: DeviceMemory, to: DeviceMemory, runBytes: number): number {
  const runs = Math.floor(from.byteLength / runBytes);
  const slots = Array.from({ length: Math.ceil(runs / TABLE_RUNS) }, () => new RunSlot(copier.device));
  // An odd stride visits every run once, far from the one before, where the number of runs is a power of two.
  const stride = Math.floor(runs * 0.618) | 1;
  const times: number[] = [];
  for (let round = -1; round < ROUNDS; round++) {
    for (const [index, { table }] of slots.entries()) {
      table.clear();
      for (let run = index * TABLE_RUNS; run < Math.min(runs, (index + 1) * TABLE_RUNS); run++) {
        table.add(from.address + run * runBytes, to.address + ((run * stride) % runs) * runBytes, runBytes);
      }
    }
    const start = performance.now();
    for (const slot of slots) copier.submit(slot);
    while (!copier.stream.idle());
    if (round >= 0) times.push((performance.now() - start) / 1000);
  }
  for (const slot of slots) slot.close();
  return (runs * runBytes) / median(times) / 1e9;
}
