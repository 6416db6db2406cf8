import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Device, VerbsError } from "../../../ffi/verbs/index.ts";
import { extendedVerbs, inlineVerbs, structs, verbs } from "../../../ffi/verbs/abi/index.ts";
import { decodeAddress, encodeAddress } from "../../../examples/pingpong/address-exchange.ts";
import { Gid } from "../../../ffi/verbs/gid.ts";
import { ours, runTool } from "./support/tools.ts";

function hasLibrary(): boolean {
  try {
    return verbs().path.length > 0;
  } catch {
    return false;
  }
}
const skipped = hasLibrary() ? "" : " (skipped: no libibverbs)";

describe("libibverbs", () => {
  test.skipIf(skipped !== "")(`gives the symbols that this version has, and leaves the others out${skipped}`, () => {
    const { symbols, optional } = verbs();
    expect(typeof symbols.ibv_open_device).toBe("function");
    for (const call of Object.values(optional)) expect(["function", "undefined"]).toContain(typeof call);
  });

  test("that is not there says which files were tried and what to install", () => {
    const entry = join(import.meta.dir, "../../../ffi/verbs/index.ts");
    const program = `import { Device } from ${JSON.stringify(entry)}; try { Device.list() } catch (e) { console.log(e.code, e.message) }`;
    const { stdout } = Bun.spawnSync([process.execPath, "-e", program], {
      env: { ...process.env, LIBIBVERBS_PATH: "/nowhere/libibverbs.so" },
    });
    expect(stdout.toString()).toContain("LIBRARY_NOT_FOUND");
    expect(stdout.toString()).toContain("/nowhere/libibverbs.so");
    expect(stdout.toString()).toContain("install libibverbs1");
  });

  test.skipIf(skipped !== "" || Device.list().length > 0)(
    `without a device lists none, and says how to make one${skipped}`,
    async () => {
      expect(Device.list()).toEqual([]);
      expect(() => Device.find()).toThrow("rdma link add rxe0 type rxe netdev");
      expect(await runTool([...ours("devinfo"), "-l"])).toEqual({ code: 0, output: "0 HCAs found:\n\n" });
      for (const tool of ["devinfo", "show-gids", "rc-pingpong", "ud-pingpong"]) {
        const { code, output } = await runTool(ours(tool));
        expect(code).toBe(1);
        expect(output).toContain("modprobe rdma_rxe");
      }
    },
  );
});

describe("the tables", () => {
  test("name a slot for every verb that is called through a pointer", () => {
    for (const name of Object.keys(inlineVerbs)) expect(structs.context.fields).toHaveProperty([`ops.${name}`]);
    for (const name of Object.keys(extendedVerbs)) expect(structs.extendedContext.fields).toHaveProperty(name);
  });
});

describe("a VerbsError", () => {
  for (const [verb, errno, code, hint] of [
    ["ibv_reg_mr", 12, "ENOMEM", "ulimit -l unlimited"],
    ["ibv_create_qp", 12, "ENOMEM", "limit"],
    ["ibv_post_send", 12, "ENOMEM", "the queue is full"],
    ["ibv_reg_mr", 14, "EFAULT", "not mapped"],
    ["ibv_open_device", 13, "EACCES", "no permission on the device's file"],
    ["ibv_open_device", 2, "ENOENT", "pass /dev/infiniband to the container"],
    ["ibv_alloc_dm", 95, "EOPNOTSUPP", "does not offer this"],
    ["ibv_modify_qp", 22, "EINVAL", ""],
  ] as const) {
    test(`of ${verb} with errno ${errno} is called ${code}${hint && ` and hints at "${hint}"`}`, () => {
      const error = new VerbsError(verb, errno);
      expect(error).toMatchObject({ code, errno, verb });
      expect(error.message).toStartWith(`${verb}: ${code} (${errno})`);
      expect(error.hint ?? "").toContain(hint);
    });
  }
});

describe("the pingpong tools' address message", () => {
  const address = { lid: 0x12, queuePair: 0x3456, packetSequence: 0x789abc, gid: Gid.parse("10.77.0.1") };
  const message = "0012:003456:789abc:00000000000000000000ffff0a4d0001\0";

  test("is 52 bytes of hexadecimal, as in C", () => {
    expect(encodeAddress(address)).toBe(message);
    expect(message.length).toBe(52);
    expect(decodeAddress(message)).toEqual(address);
  });

  test("that is something else is refused", () => {
    expect(() => decodeAddress("GET / HTTP/1.1")).toThrow("not understood");
  });
});
