import { Glob, which } from "bun";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** A library of the toolkit or of the driver: what it is called on disk, and where wheels of PyPI keep it. */
export interface CudaLibrary {
  /** What a person calls it. */
  readonly name: string;
  /** Environment variable that names a file; nothing else is tried then. */
  readonly override: string;
  /** File names by major version of the toolkit; the driver's has none. */
  readonly fileName: (major: number) => string;
  /** Folders below `site-packages/nvidia`, by major version. */
  readonly wheelFolder?: (major: number) => string;
}

export const cudart: CudaLibrary = {
  name: "libcudart (CUDA runtime)",
  override: "KVWIRE_CUDART",
  fileName: (major) => `libcudart.so.${major}`,
  wheelFolder: (major) => (major >= 13 ? `cu${major}/lib` : "cuda_runtime/lib"),
};

export const libcuda: CudaLibrary = {
  name: "libcuda (NVIDIA driver)",
  override: "KVWIRE_LIBCUDA",
  fileName: () => "libcuda.so.1",
};

export const nvrtc: CudaLibrary = {
  name: "libnvrtc (CUDA run-time compiler)",
  override: "KVWIRE_NVRTC",
  fileName: (major) => `libnvrtc.so.${major}`,
  wheelFolder: (major) => (major >= 13 ? `cu${major}/lib` : "cuda_nvrtc/lib"),
};

/** Files to load instead of searching for them. */
export interface LibraryPaths {
  readonly cudart?: string;
  readonly libcuda?: string;
  readonly nvrtc?: string;
}

/** Where kvwire keeps what it can make or fetch again. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "kvwire");
}

/** Where `bun run cuda:wheels` unpacks NVIDIA's wheels of one major version. */
export function wheelCache(major: number, environment?: NodeJS.ProcessEnv): string {
  return join(cacheFolder(environment), `cuda-wheels-${major}`);
}

/**
 * The files to try for `library`, best first: the override alone; else what the dynamic linker knows, the toolkit's folders,
 * Python's site-packages and kvwire's own copy of the wheels. A pattern that matches nothing stays in the list, so that the
 * error names it.
 * @param majors Major versions of the toolkit, preferred first.
 */
export function candidates(
  library: CudaLibrary,
  majors: readonly number[],
  environment: NodeJS.ProcessEnv = process.env,
): string[] {
  const override = environment[library.override];
  if (override) return [override];
  const { wheelFolder } = library;
  if (wheelFolder === undefined) return [library.fileName(0)];
  return majors.flatMap((major) => {
    const file = library.fileName(major);
    const toolkits = [
      environment["CUDA_HOME"],
      environment["CUDA_PATH"],
      "/usr/local/cuda",
      `/usr/local/cuda-${major}*`,
    ];
    const wheels = join("nvidia", wheelFolder(major), file);
    return [
      file,
      ...toolkits.filter((folder) => folder !== undefined).flatMap((folder) => matching(join(folder, "lib64", file))),
      ...pythonFolders(environment).flatMap((folder) => matching(join(folder, wheels))),
      join(wheelCache(major, environment), wheels),
    ];
  });
}

function pythonFolders(environment: NodeJS.ProcessEnv): string[] {
  const python = which("python3", { PATH: environment["PATH"] ?? "" });
  const prefixes = [
    environment["VIRTUAL_ENV"],
    environment["CONDA_PREFIX"],
    ...(python ? [dirname(dirname(python))] : []),
    "/usr/local",
    "/usr",
  ];
  return [...new Set(prefixes)]
    .filter((prefix) => prefix !== undefined)
    .flatMap((prefix) => [join(prefix, "lib/python3*/site-packages"), join(prefix, "lib/python3*/dist-packages")]);
}

function matching(pattern: string): string[] {
  if (!pattern.includes("*")) return [pattern];
  const found = [...new Glob(pattern.slice(1)).scanSync({ cwd: "/", absolute: true, followSymlinks: true })];
  return found.length > 0 ? found : [pattern];
}
