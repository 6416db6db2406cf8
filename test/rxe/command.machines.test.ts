import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeMachines } from "./describe.ts";
import { MachineError } from "./errors.ts";
import { Machine } from "./machine.ts";

describeMachines("a command in a machine", () => {
  let machine: Machine;
  const folder = mkdtempSync(join(tmpdir(), "kvwire-command-"));
  const note = join(folder, "note");

  beforeAll(async () => {
    writeFileSync(note, "from the host");
    machine = await Machine.boot({ name: "probe", address: "10.77.9.9" });
  });

  afterAll(async () => {
    await machine.powerCut();
    rmSync(folder, { recursive: true });
  });

  test("keeps its streams apart and returns its exit code", async () => {
    const result = await machine.run("echo out; echo err >&2; exit 7");
    expect(result).toEqual({ code: 7, stdout: "out\n", stderr: "err\n", timedOut: false });
  });

  test("gets its arguments, folder, variables and input as they are", async () => {
    const result = await machine.run(["sh", "-c", 'pwd; echo "$WORD"; echo "$1"; cat', "sh", "a  $b"], {
      cwd: "/usr/share",
      env: { WORD: "two words" },
      stdin: "typed",
    });
    expect(result.stdout).toBe("/usr/share\ntwo words\na  $b\ntyped");
  });

  test("sends megabytes of any bytes unharmed", async () => {
    const hash = new Bun.CryptoHasher("sha256");
    const script = "head -c 8000000 /dev/urandom >/tmp/noise && cat /tmp/noise && sha256sum </tmp/noise >&2";
    const { stderr } = await machine.run(script, { onStdout: (chunk) => hash.update(chunk) });
    expect(stderr.split(" ")[0]).toBe(hash.digest("hex"));
  });

  test("runs beside others", async () => {
    const waiting = machine.run("mkfifo /tmp/gate; cat /tmp/gate", { timeoutMs: 20_000 });
    const script = "until [ -p /tmp/gate ]; do sleep 0.02; done; echo opened >/tmp/gate";
    expect((await machine.run(script, { timeoutMs: 20_000 })).code).toBe(0);
    expect((await waiting).stdout).toBe("opened\n");
  });

  test("is killed with all its children at its time limit", async () => {
    const result = await machine.run("sleep 1000 & echo $!; wait", { timeoutMs: 500 });
    expect(result).toMatchObject({ code: 124, timedOut: true });
    const child = result.stdout.trim();
    const probe = `until ! [ -d /proc/${child} ] || grep -q Z /proc/${child}/stat; do sleep 0.02; done`;
    expect((await machine.run(probe, { timeoutMs: 10_000 })).code).toBe(0);
  });

  test("has the code that shells give to what they cannot start, or what a signal ended", async () => {
    const absent = await machine.run(["/nowhere/program"]);
    expect(absent.code).toBe(127);
    expect(absent.stderr).toContain("/nowhere/program");
    expect((await machine.run("kill -TERM $$")).code).toBe(143);
  });

  test("reads the host's files, and the host never sees what it writes", async () => {
    expect((await machine.run(["cat", note])).stdout).toBe("from the host");
    expect((await machine.run(`echo changed >${note} && cat ${note}`)).stdout).toBe("changed\n");
    expect(await Bun.file(note).text()).toBe("from the host");
  });

  test("finds the machine's name, address, loopback, locked memory and RDMA device", async () => {
    const { stdout } = await machine.run("hostname; getent hosts probe; ulimit -l; ip -br link show lo; rdma link");
    expect(stdout).toContain("probe\n10.77.9.9");
    expect(stdout).toContain("unlimited\n");
    expect(stdout).toMatch(/LOOPBACK,UP/);
    expect(stdout).toMatch(/rxe0\/1 state ACTIVE .* netdev net0/);
  });

  // The last one: the machine does not survive it.
  test("fails with the kernel's last words when the machine dies", async () => {
    const failure = await machine
      .run("sleep 1000 & echo c >/proc/sysrq-trigger; wait")
      .catch((cause: unknown) => cause);
    expect(failure).toBeInstanceOf(MachineError);
    expect((failure as MachineError).message).toContain("sysrq triggered crash");
    await machine.gone;
    expect(await machine.run("true").catch((cause: unknown) => cause)).toBeInstanceOf(MachineError);
  });
});
