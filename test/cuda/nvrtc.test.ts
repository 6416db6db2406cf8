import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedCubin, CompileError, copyKernelSource, Nvrtc } from "../../cuda/index.ts";
import { realLibraries, titled } from "./real-libraries.ts";

const kernels = ["kvwire_checksum_runs", "kvwire_copy_rows", "kvwire_copy_runs"];

for (const libraries of realLibraries) {
  describe.skipIf(libraries.missing !== undefined)(titled("NVRTC", libraries), () => {
    const open = (): Nvrtc => Nvrtc.open([libraries.major], libraries.nvrtc);

    test.each([80, 90, 100])("compiles every kernel for sm_%d without spilling a register", (architecture) => {
      const { cubin, log } = open().compile(copyKernelSource, architecture, { verbose: true });
      expect(new TextDecoder("latin1").decode(cubin.subarray(0, 4))).toBe("\x7fELF");
      expect([...log.matchAll(/entry function '(\w+)'/g)].map((match) => match[1]!).sort()).toEqual(kernels);
      const spills = [...log.matchAll(/(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/g)];
      expect(spills.map(([, ...bytes]) => bytes.map(Number))).toEqual(kernels.map(() => [0, 0, 0]));
    });

    test("an error in the source comes back with the compiler's log", () => {
      const wrong = { name: "wrong.cu", text: 'extern "C" __global__ void wrong() { nowhere = 1; }' };
      const compile = (): unknown => open().compile(wrong, 90);
      expect(compile).toThrow(CompileError);
      expect(compile).toThrow('identifier "nowhere" is undefined');
    });

    test("an architecture that it does not know is refused by name", () => {
      expect(() => open().compile(copyKernelSource, 1)).toThrow("NVRTC_ERROR_INVALID_OPTION");
    });
  });
}

describe("the cubin cache", () => {
  const folder = mkdtempSync(join(tmpdir(), "kvwire-cubins-"));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("compiles once per source, architecture and compiler version", () => {
    const compiled: string[] = [];
    const compiler = (version: string) => ({
      version,
      compile: ({ text }: { text: string }, architecture: number) => {
        compiled.push(`${version} ${architecture} ${text}`);
        return { cubin: new TextEncoder().encode(`${architecture} ${text}`), log: "" };
      },
    });
    const cubin = (version: string, architecture: number, text: string): string =>
      new TextDecoder().decode(cachedCubin(compiler(version), { name: "k.cu", text }, architecture, folder));

    expect(cubin("13.2", 90, "a")).toBe("90 a");
    expect(cubin("13.2", 90, "a")).toBe("90 a");
    expect(cubin("13.2", 100, "a")).toBe("100 a");
    expect(cubin("13.2", 90, "b")).toBe("90 b");
    expect(cubin("12.9", 90, "a")).toBe("90 a");
    expect(compiled).toEqual(["13.2 90 a", "13.2 100 a", "13.2 90 b", "12.9 90 a"]);
    expect(readdirSync(folder).length).toBe(4);
  });
});
