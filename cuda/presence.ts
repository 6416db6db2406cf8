import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { cudart, libcuda } from "./library.ts";

/** Whether this process has loaded the driver's library: without it there is no device memory in it. */
export function cudaIsLoaded(environment: NodeJS.ProcessEnv = process.env): boolean {
  const overrides = [environment[libcuda.override], environment[cudart.override]].filter((path) => path !== undefined);
  const names = ["libcuda.so", ...overrides.map((path) => basename(path))];
  const maps = readFileSync("/proc/self/maps", "utf8");
  return names.some((name) => maps.includes(`/${name}`));
}
