import { existsSync } from "node:fs";
import { join } from "node:path";
import { CudaDriver, cudart, nvrtc, wheelCache } from "../../cuda/index.ts";

/** NVIDIA's own libraries of one major version, unpacked by `bun run cuda:wheels`. */
export interface RealLibraries {
  readonly major: 12 | 13;
  readonly cudart: string;
  readonly nvrtc: string;
  /** Folders for the C compiler. 12's wheels lack `crt/`, whose macros are the same in 13's. */
  readonly include: readonly string[];
  /** Why tests of this version must be skipped; undefined where they can run. */
  readonly missing: string | undefined;
}

export const realLibraries: readonly RealLibraries[] = ([12, 13] as const).map((major) => {
  const wheels = join(wheelCache(major), "nvidia");
  const [runtime, compiler] = [cudart, nvrtc].map((library) =>
    join(wheels, library.wheelFolder!(major), library.fileName(major)),
  ) as [string, string];
  const newest = join(wheelCache(13), "nvidia/cu13/include");
  const include = major === 13 ? [newest] : [join(wheels, "cuda_runtime/include"), newest];
  const absent = [runtime, compiler, ...include].find((path) => !existsSync(path));
  return {
    major,
    cudart: runtime,
    nvrtc: compiler,
    include,
    missing: absent && `${absent} is not there: bun run cuda:wheels`,
  };
});

/** Suite name with the reason, if it has to be skipped. */
export function titled(title: string, { major, missing }: RealLibraries): string {
  return missing === undefined ? `${title}, CUDA ${major}` : `${title}, CUDA ${major} (skipped: ${missing})`;
}

export const driverInstalled: boolean = (() => {
  try {
    return CudaDriver.open().version > 0;
  } catch {
    return false;
  }
})();
