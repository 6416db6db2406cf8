import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLibrary } from "../../../ffi/runtime/index.ts";

const sources = join(import.meta.dir, "src");

/** Compiles the stand-in once per version of its source and answers the shared library's path. */
export function buildStandIn(): string {
  const files = readdirSync(sources).sort();
  const hash = new Bun.CryptoHasher("sha256");
  for (const file of files) hash.update(readFileSync(join(sources, file)));
  const folder = join(tmpdir(), "kvwire-stand-in");
  const library = join(folder, `libcudart-stand-in-${hash.digest("hex").slice(0, 16)}.so`);
  if (existsSync(library)) return library;
  mkdirSync(folder, { recursive: true });
  const draft = `${library}.${process.pid}`;
  const units = files.filter((file) => file.endsWith(".c")).map((file) => join(sources, file));
  const options = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-shared", "-fPIC", "-pthread"];
  const { exitCode, stderr } = Bun.spawnSync(["cc", ...options, ...units, "-o", draft]);
  if (exitCode !== 0) throw new Error(`the stand-in does not compile:\n${stderr.toString()}`);
  renameSync(draft, library);
  return library;
}

/** Makes a program load the stand-in for all three libraries of NVIDIA's. */
export function standInEnvironment(library: string): Record<string, string> {
  return { KVWIRE_CUDART: library, KVWIRE_LIBCUDA: library, KVWIRE_NVRTC: library };
}

/** What {@link StandInControl.alive} counts. */
const counted = ["device", "pinned", "registered", "peer", "streams", "events"] as const;

/** The stand-in's own functions, for the process that they are called in. */
export interface StandInControl {
  /** The `n`-th call from now (1 is the next) of a C function answers `status`; `copy` and `kernel` fail while they run. */
  fail(call: string, n: number, status: number): void;
  alive(): Record<(typeof counted)[number], number>;
}

export function controlStandIn(library: string): StandInControl {
  const { symbols } = openLibrary({
    name: "the stand-in",
    candidates: [library],
    symbols: {
      kvwire_stand_in_fail: { parameters: ["cstring", "i32", "i32"], result: "void" },
      kvwire_stand_in_alive: { parameters: ["i32"], result: "i32" },
    },
  });
  return {
    fail: symbols.kvwire_stand_in_fail,
    alive: () =>
      Object.fromEntries(counted.map((name, what) => [name, symbols.kvwire_stand_in_alive(what)])) as ReturnType<
        StandInControl["alive"]
      >,
  };
}
