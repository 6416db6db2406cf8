import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { Command, ROOT } from "./support/command.ts";

const folder = mkdtempSync(join(tmpdir(), "kvwire-lb-"));
afterAll(() => rmSync(folder, { recursive: true }));

function run(command: readonly string[], cwd: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { cwd, stdin: "ignore" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
  return stdout.toString().trim();
}

/** Serves a request, its dashboard, and leaves when told to. */
async function serves(command: Command): Promise<void> {
  const url = await command.url();
  const response = await fetch(`${url}/generate`, { method: "POST", body: '{"text":"x"}' });
  expect([response.status, await response.json()]).toMatchObject([200, { text: "Hello big world" }]);
  expect(await (await fetch(`${url}/dashboard`)).text()).toContain("<html");
  command.process.kill("SIGTERM");
  expect(await command.process.exited).toBe(0);
}

const hasRegistry = Boolean(process.env["CI"]) || Bun.spawnSync(["npm", "ping"], { timeout: 10_000 }).exitCode === 0;
const why = hasRegistry ? "" : " (skipped: no npm registry can be reached)";

describe.skipIf(!hasRegistry)(`the package, installed from its tarball in an empty folder${why}`, () => {
  const bin = join(folder, "node_modules/.bin/kvwire-lb");
  const path = `${dirname(process.execPath)}:${process.env["PATH"]}`;

  beforeAll(() => {
    const tarball = run(["npm", "pack", "--silent", "--pack-destination", folder], ROOT);
    run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", `./${basename(tarball)}`], folder);
  }, 120_000);

  test("kvwire-lb serves", async () => {
    await using command = new Command(["--workers", "2"], { program: [bin], path });
    await serves(command);
  }, 20_000);

  test("kvwire/lb mounts", () => {
    const script = `import { createLoadBalancer } from "kvwire/lb";
      const { app } = createLoadBalancer({ logLevel: "silent" });
      console.log((await app.request("/readiness")).status);
      process.exit(0);`;
    expect(run([process.execPath, "-e", script], folder)).toBe("503");
  });
});

describe("the executable that bun run build:lb makes", () => {
  const executable = join(folder, "kvwire-lb");

  beforeAll(() => {
    run([process.execPath, "build", "--compile", "--outfile", executable, "lb/main.ts"], ROOT);
  }, 60_000);

  test.each([1, 2])(
    "serves with --workers %d, without Bun on the path",
    async (workers) => {
      await using command = new Command(["--workers", String(workers)], { program: [executable], path: "/usr/bin" });
      await serves(command);
    },
    20_000,
  );

  test("--help and --print-config", () => {
    expect(run([executable, "--help"], folder)).toContain("--prefill-bootstrap-ports");
    expect(run([executable, "--print-config"], folder)).toContain('"port": 8000');
  });
});
