import { expect, test } from "bun:test";
import { chmodSync, statSync } from "node:fs";
import { join } from "node:path";
import { describeRdma } from "../../rxe/describe.ts";

const entry = JSON.stringify(join(import.meta.dir, "../../../ffi/verbs/index.ts"));
const libc = JSON.stringify(join(import.meta.dir, "../../../ffi/libc/index.ts"));
const missing = ["setpriv", "prlimit"].find((tool) => !Bun.which(tool));
const root = process.getuid!() === 0;
const skipped = missing ? ` (skipped: no ${missing})` : root ? "" : " (skipped: not root)";

/** Runs a program as nobody, with little memory that may be locked; it prints an error's code and message. */
async function asNobody(body: string): Promise<string> {
  const program = `import { Device } from ${entry}; import { Mapping } from ${libc};
    try { ${body}; console.log("nothing was thrown"); } catch (error) { console.log(error.code, error.message); }`;
  const nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
  const words = [...nobody, "prlimit", "--memlock=65536:65536", process.execPath, "-e", program];
  const child = Bun.spawn(words, { stdout: "pipe", stderr: "pipe", env: { ...process.env, HOME: "/tmp" } });
  return (await child.stdout.text()) + (await child.stderr.text());
}

describeRdma("a user without rights", () => {
  const file = () => "/dev/infiniband/uverbs0";

  test.skipIf(skipped !== "")(`is told which file to get permission for${skipped}`, async () => {
    const { mode } = statSync(file());
    chmodSync(file(), 0o600);
    try {
      expect(await asNobody("Device.find().open()")).toMatch(
        /^EACCES ibv_open_device: .*uverbs0; no permission on the device's file/,
      );
    } finally {
      chmodSync(file(), mode);
    }
  });

  test.skipIf(skipped !== "")(`is told to raise the limit of locked memory${skipped}`, async () => {
    const { mode } = statSync(file());
    chmodSync(file(), 0o666);
    try {
      const register = "Device.find().open().allocateProtectionDomain().registerMemory(Mapping.allocate(1 << 20))";
      expect(await asNobody(register)).toMatch(/^ENOMEM ibv_reg_mr: .*ulimit -l unlimited/);
    } finally {
      chmodSync(file(), mode);
    }
  });
});
