import { expect, test } from "bun:test";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };

const root = join(import.meta.dir, "..");

test("every entry point loads by the package's name", async () => {
  for (const path of Object.keys(manifest.exports)) {
    const module = (await import(path.replace(".", "kvwire"))) as object;
    expect(Object.keys(module)).not.toBeEmpty();
  }
});

test("kvwire/ffi has every name of libibverbs at the top", async () => {
  const ffi = await import("kvwire/ffi");
  const missing = Object.keys(ffi.verbs).filter((name) => !(name in ffi));
  expect(missing).toEqual([]);
  expect(ffi.Device).toBe(ffi.verbs.Device);
});

test("every script and command of package.json names a file that exists", async () => {
  const named = [
    ...Object.values(manifest.scripts),
    ...Object.values(manifest.bin),
    ...Object.values(manifest.exports),
  ];
  const files = named.flatMap((text) => text.match(/\S+\.ts/g) ?? []);
  expect(files).not.toBeEmpty();
  for (const file of files) expect([file, await Bun.file(join(root, file)).exists()]).toEqual([file, true]);
});

test("the README quotes examples/transfer.ts as it is, and it moves the pages", async () => {
  const example = await Bun.file(join(root, "examples/transfer.ts")).text();
  expect(await Bun.file(join(root, "README.md")).text()).toContain(example);
  const child = Bun.spawnSync([process.execPath, "examples/transfer.ts"], { cwd: root, timeout: 20_000 });
  expect(child.stdout.toString()).toContain("[ 1, 1, 2 ]");
  expect(child.exitCode).toBe(0);
}, 30_000);
