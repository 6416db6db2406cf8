import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as layouts from "../../cuda/layouts.ts";
import type { Layout } from "../../cuda/layouts.ts";
import { type RealLibraries, realLibraries, titled } from "./real-libraries.ts";

/** What the C compiler makes of the same types: one line per number, in the table's order. */
function measure({ include }: RealLibraries, all: readonly Layout[]): number[] {
  const lines = all.flatMap(({ type, fields }) => [
    `sizeof(${type})`,
    ...Object.keys(fields).flatMap((field) => [`offsetof(${type}, ${field})`, `sizeof(((${type} *)0)->${field})`]),
  ]);
  const source = `#include <cuda_runtime_api.h>
    #include <stddef.h>
    #include <stdio.h>
    int main(void) { ${lines.map((line) => `printf("%zu\\n", ${line});`).join("\n")} }`;
  const folder = mkdtempSync(join(tmpdir(), "kvwire-layouts-"));
  try {
    const [file, program] = [join(folder, "layouts.c"), join(folder, "layouts")];
    writeFileSync(file, source);
    const compiled = Bun.spawnSync(["cc", ...include.map((path) => `-I${path}`), file, "-o", program]);
    expect(compiled.stderr.toString()).toBe("");
    return Bun.spawnSync([program]).stdout.toString().trim().split("\n").map(Number);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const libraries of realLibraries) {
  describe.skipIf(libraries.missing !== undefined)(titled("struct layouts", libraries), () => {
    test("are those of the headers", () => {
      const attributes = libraries.major === 13 ? layouts.pointerAttributes : layouts.pointerAttributes12;
      const all: Layout[] = [attributes, layouts.memcpyAttributes, layouts.ipcMemoryHandle, layouts.ipcEventHandle];
      const table = all.flatMap(({ byteLength, fields }) => [byteLength, ...Object.values(fields).flat()]);
      expect(measure(libraries, all)).toEqual(table);
    });
  });
}
