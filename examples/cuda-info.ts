#!/usr/bin/env bun
/** Prints the GPUs of this host, how they reach each other and how network cards reach them. Exits 1 where there is none. */
import { describeHost, type HostReport } from "../cuda/index.ts";

const yes = (flag: boolean): string => (flag ? "yes" : "no");
const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

function print(report: HostReport): void {
  const { runtime, driver, compiler, devices, peers, nvidiaPeermem } = report;
  console.log(`runtime   CUDA ${runtime.version}  ${runtime.path}`);
  console.log(`driver    CUDA ${driver.version}  ${driver.path}`);
  console.log(
    compiler
      ? `compiler  NVRTC ${compiler.version}  ${compiler.path}`
      : "compiler  no NVRTC: copy kernels are not available",
  );
  for (const device of devices) {
    console.log(`\nGPU ${device.ordinal}  ${device.name}`);
    console.log(`  PCI                 ${device.pciBusId}, NUMA node ${device.numaNode}`);
    console.log(`  compute capability  ${device.computeCapability / 10}, ${device.multiProcessors} multiprocessors`);
    console.log(`  memory              ${gibibytes(device.memory.free)} free of ${gibibytes(device.memory.total)}`);
    const { rdma, dmaBuf, ipcEvents, fabricHandles } = device.gpuDirect;
    console.log(`  GPUDirect RDMA      ${yes(rdma)}, dma-buf ${yes(dmaBuf)}`);
    console.log(`  between processes   events ${yes(ipcEvents)}, fabric handles ${yes(fabricHandles)}`);
  }
  console.log(`\nnvidia-peermem ${nvidiaPeermem ? "is loaded" : "is not loaded"}`);
  if (devices.length < 2) return;
  console.log("\npeer access (row reaches column; the link's performance rank, lower is faster)");
  console.log(`      ${devices.map(({ ordinal }) => `GPU${ordinal}`.padEnd(6)).join("")}`);
  peers.forEach((row, ordinal) => {
    const cells = row.map(({ access, rank }) => (rank === undefined ? "-" : access ? `yes ${rank}` : "no").padEnd(6));
    console.log(`GPU${ordinal}  ${cells.join("")}`);
  });
}

try {
  print(describeHost());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
