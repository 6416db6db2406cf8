import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Architecture, structsFor } from "../../../../ffi/verbs/abi/index.ts";
import { cProgram, declaredFacts, type Facts } from "./c-program.ts";

/** The compiler for each architecture, and how its static output runs here. */
const toolchains: Record<Architecture, { compiler: string; runner: string[] }> =
  process.arch === "arm64"
    ? {
        aarch64: { compiler: "cc", runner: [] },
        "x86-64": { compiler: "x86_64-linux-gnu-gcc", runner: ["qemu-x86_64-static"] },
      }
    : {
        "x86-64": { compiler: "cc", runner: [] },
        aarch64: { compiler: "aarch64-linux-gnu-gcc", runner: ["qemu-aarch64-static"] },
      };

const header = "/usr/include/infiniband/verbs.h";
const committed = (architecture: Architecture) => Bun.file(join(import.meta.dir, `facts-${architecture}.json`));

async function missingTool(architecture: Architecture): Promise<string | undefined> {
  const { compiler, runner } = toolchains[architecture];
  for (const tool of [compiler, ...runner]) if (!Bun.which(tool)) return tool;
  return (await Bun.file(header).exists()) ? undefined : header;
}

function run(command: string[]): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit ${exitCode}\n${stderr.toString()}`);
  return stdout.toString();
}

/** Compiles and runs the generated program: what the compiler thinks of the installed headers. */
async function compiledFacts(architecture: Architecture): Promise<Facts> {
  const folder = mkdtempSync(join(tmpdir(), "verbs-layout-"));
  try {
    const source = join(folder, "layout.c");
    const program = join(folder, "layout");
    await Bun.write(source, cProgram(architecture));
    const { compiler, runner } = toolchains[architecture];
    const headers = join(folder, "include");
    if (runner.length > 0) {
      // A cross compiler has no RDMA headers of its own; they are the same for all architectures, the C library's are not.
      run(["mkdir", headers]);
      for (const name of ["infiniband", "rdma"]) run(["ln", "-s", `/usr/include/${name}`, join(headers, name)]);
    }
    run([compiler, "-I", headers, ...(runner.length > 0 ? ["-static"] : []), "-o", program, source]);
    return JSON.parse(run([...runner, program])) as Facts;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const architecture of ["x86-64", "aarch64"] as const) {
  describe(`struct layouts and constants on ${architecture}`, async () => {
    const missing = await missingTool(architecture);

    test("are what the committed output of the C program says", async () => {
      expect(declaredFacts(architecture)).toEqual(await committed(architecture).json());
    });

    test.skipIf(missing !== undefined)(
      `are what the C compiler says of the installed headers${missing ? ` (skipped: no ${missing})` : ""}`,
      async () => {
        const facts = await compiledFacts(architecture);
        if (process.env["UPDATE_LAYOUT_FACTS"]) await Bun.write(committed(architecture), JSON.stringify(facts) + "\n");
        const declared = declaredFacts(architecture);
        for (const { name, extensible } of Object.values(structsFor(architecture))) {
          if (!extensible) continue;
          expect(facts.structs[name]!.size).toBeGreaterThanOrEqual(declared.structs[name]!.size);
          declared.structs[name]!.size = facts.structs[name]!.size;
        }
        expect(declared).toEqual(facts);
      },
    );
  });
}
