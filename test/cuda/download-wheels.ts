#!/usr/bin/env bun
/**
 * Unpacks NVIDIA's own libraries and headers from PyPI into kvwire's cache, both major versions (about 150 MB to fetch):
 * enough to compile kernels and to meet the real error paths on a machine without a GPU.
 */
import { existsSync } from "node:fs";
import { wheelCache } from "../../cuda/index.ts";

const wheels: Readonly<Record<number, readonly string[]>> = {
  13: ["nvidia-cuda-runtime==13.*", "nvidia-cuda-nvrtc==13.*", "nvidia-cuda-crt==13.*"],
  12: ["nvidia-cuda-runtime-cu12==12.*", "nvidia-cuda-nvrtc-cu12==12.*"],
};

for (const [major, requirements] of Object.entries(wheels)) {
  const folder = wheelCache(Number(major));
  if (existsSync(folder)) {
    console.log(`CUDA ${major}: already in ${folder}`);
    continue;
  }
  const draft = `${folder}.${process.pid}`;
  const pip = ["python3", "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", draft];
  const { exitCode } = Bun.spawnSync([...pip, ...requirements], { stdout: "inherit", stderr: "inherit" });
  if (exitCode !== 0) process.exit(exitCode);
  const { exitCode: moved } = Bun.spawnSync(["mv", "-T", draft, folder]);
  if (moved !== 0) process.exit(moved);
  console.log(`CUDA ${major}: ${folder}`);
}
