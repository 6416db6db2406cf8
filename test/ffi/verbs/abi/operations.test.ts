import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NativeBuffer } from "../../../../ffi/runtime/index.ts";
import { requiredSymbols, structs, unsafeExtendedVerb, unsafeInlineVerbs } from "../../../../ffi/verbs/abi/index.ts";

const FRONT = 512;
const { context: plain, extendedContext } = structs;

/** A context with a verbs_context in front, in memory of our own. */
function fakeContext(values: { abi?: bigint; size?: number; slots?: Record<string, number> }) {
  const buffer = NativeBuffer.allocate(FRONT + plain.size);
  const set = (offset: number, value: number) => buffer.setAddress(FRONT + offset, value);
  buffer.view.setBigUint64(FRONT + plain.fields.abi_compat.offset, values.abi ?? 0xffff_ffff_ffff_ffffn, true);
  set(extendedContext.fields.sz.offset, values.size ?? plain.size + 400);
  for (const [name, value] of Object.entries(values.slots ?? {})) {
    const fields: Record<string, { offset: number }> = { ...plain.fields, ...extendedContext.fields };
    set(fields[name]!.offset, value);
  }
  return { buffer, address: buffer.address + FRONT };
}

const slots = { query_port: 0x1234 };

describe("an extended verb", () => {
  test("is taken from its slot in front of the context, wrapped once", () => {
    const { address } = fakeContext({ slots });
    expect(typeof unsafeExtendedVerb(address, "query_port")).toBe("function");
    const other = fakeContext({ slots });
    expect(unsafeExtendedVerb(other.address, "query_port")).toBe(unsafeExtendedVerb(address, "query_port")!);
  });

  test("is absent where the slot is empty", () => {
    const { address } = fakeContext({ slots });
    expect(unsafeExtendedVerb(address, "advise_mr")).toBeUndefined();
  });

  test("is absent where the library's table does not reach the slot", () => {
    const needed = plain.size - extendedContext.fields.query_port.offset;
    expect(unsafeExtendedVerb(fakeContext({ slots, size: needed - 1 }).address, "query_port")).toBeUndefined();
    expect(unsafeExtendedVerb(fakeContext({ slots, size: needed }).address, "query_port")).toBeDefined();
  });

  test("is absent where the context says that nothing stands in front of it", () => {
    expect(unsafeExtendedVerb(fakeContext({ slots, abi: 0n }).address, "query_port")).toBeUndefined();
  });
});

describe("inline verbs", () => {
  test("are those whose pointers the provider has set", () => {
    const { address } = fakeContext({ slots: { "ops.post_send": 0x1000, "ops.poll_cq": 0x2000 } });
    expect(Object.keys(unsafeInlineVerbs(address)).sort()).toEqual(["poll_cq", "post_send"]);
  });
});

const compiler = Bun.which("cc");

test.skipIf(!compiler)(
  `an older libibverbs, which lacks everything optional, still loads${compiler ? "" : " (skipped: no cc)"}`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "old-verbs-"));
    try {
      const source = join(folder, "old.c");
      const library = join(folder, "libibverbs-old.so");
      const functions = Object.keys(requiredSymbols).map((name) => `long ${name}(void) { return 0; }`);
      await Bun.write(source, `${functions.join("\n")}\n`);
      expect(Bun.spawnSync(["cc", "-w", "-shared", "-fPIC", "-o", library, source]).exitCode).toBe(0);
      const abi = join(import.meta.dir, "../../../../ffi/verbs/abi/index.ts");
      const program = `import { verbs } from ${JSON.stringify(abi)};
        const { path, symbols, optional } = verbs();
        console.log(JSON.stringify({ path, required: Object.keys(symbols).length, optional: Object.values(optional) }));`;
      const { stdout } = Bun.spawnSync([process.execPath, "-e", program], {
        env: { ...process.env, LIBIBVERBS_PATH: library },
      });
      const { path, required, optional } = JSON.parse(stdout.toString()) as Record<string, unknown>;
      expect(path).toBe(library);
      expect(required).toBe(Object.keys(requiredSymbols).length);
      // JSON writes undefined in an array as null.
      expect(new Set(optional as unknown[])).toEqual(new Set([null]));
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
