import { Glob } from "bun";
import { join } from "node:path";
import { machinesVariable } from "./devices.ts";
import { MachineUnavailableError } from "./errors.ts";
import { ensureKernel } from "./kernel.ts";
import { Machine } from "./machine.ts";
import { ensurePackages } from "./packages.ts";
import { describeTally, nothing, sum, SummaryReader, type Tally } from "./tally.ts";

/** The files of `bun run test:rxe`, by the middle of their names; `long` ones only with `--all`. */
export const deviceTests = { inMachine: "rdma", onHost: "machines" } as const;

export interface SuiteOptions {
  /** The long ones, too. */
  readonly all: boolean;
  /** Parts of paths; a file runs when one of them is in its path, or when there are none. */
  readonly filters: readonly string[];
  /** More options for `bun test`. */
  readonly bunOptions: readonly string[];
}

export interface SuiteResult {
  readonly code: number;
  readonly tally: Tally;
}

export const repository = join(import.meta.dir, "../..");

/** Under emulation a test takes many times its time; and a machine that hangs must not hang the run. */
export const testTimeout = ["--timeout", "60000"];
const shortLimitMs = 15 * 60_000;
const longLimitMs = 60 * 60_000;

/** The paths of one kind of test file, from the root of the repository, sorted. */
function files(kind: string, { all, filters }: Pick<SuiteOptions, "all" | "filters">): string[] {
  const glob = new Glob(`test/**/*.${kind}.${all ? "{test,long.test}" : "test"}.ts`);
  const found = [...glob.scanSync({ cwd: repository })].sort();
  return found.filter((path) => filters.length === 0 || filters.some((part) => path.includes(part)));
}

/**
 * Runs the tests that need an RDMA device in a machine that has one, then those that boot machines themselves here.
 * Without what a machine needs it says so, with the line to type, and they count as skipped; in CI that is a failure.
 */
export async function runDeviceSuite(options: SuiteOptions): Promise<SuiteResult> {
  const inMachine = files(deviceTests.inMachine, options);
  const onHost = files(deviceTests.onHost, options);
  const start = performance.now();
  try {
    // Before any test: what is missing here is a reason to skip, inside a test it would be a failure.
    await ensurePackages();
    await ensureKernel();
    const results = [await runInMachine(inMachine, options), await runOnHost(onHost, options)];
    const tally = sum(results.map((result) => result.tally));
    say(`rxe: ${describeTally(tally)} in ${seconds(performance.now() - start)}`);
    return { code: results.find(({ code }) => code !== 0)?.code ?? 0, tally };
  } catch (cause) {
    if (!(cause instanceof MachineUnavailableError)) throw cause;
    say(`SKIPPED: ${inMachine.length + onHost.length} files of tests with an RDMA device: ${cause.message}`);
    if (cause.remedy) say(`to run them: ${cause.remedy}`);
    const inCI = Boolean(process.env["CI"]);
    if (inCI) say("CI is set: that is a failure");
    const count = inMachine.length + onHost.length;
    return inCI
      ? { code: 1, tally: { ...nothing, failed: count } }
      : { code: 0, tally: { ...nothing, skipped: count } };
  }
}

async function runInMachine(paths: readonly string[], options: SuiteOptions): Promise<SuiteResult> {
  if (paths.length === 0) return { code: 0, tally: nothing };
  const start = performance.now();
  await using machine = await Machine.boot();
  say(`rxe: a machine with rxe0 is up after ${seconds(performance.now() - start)}; ${paths.length} files run in it`);
  const summary = new SummaryReader();
  const child = machine.spawn([process.execPath, "test", ...testTimeout, ...options.bunOptions, ...explicit(paths)], {
    cwd: repository,
    env: testEnvironment(),
    timeoutMs: options.all ? longLimitMs : shortLimitMs,
    onStdout: (chunk) => process.stdout.write(chunk),
    onStderr: (chunk) => (summary.push(chunk), process.stderr.write(chunk)),
  });
  child.end();
  const code = await child.exited;
  if (child.timedOut) say("rxe: the time limit of the whole run ended it");
  return { code, tally: summary.tally(code) };
}

async function runOnHost(paths: readonly string[], options: SuiteOptions): Promise<SuiteResult> {
  if (paths.length === 0) return { code: 0, tally: nothing };
  say(`rxe: ${paths.length} files boot machines of their own`);
  return await runHostTests([...testTimeout, ...options.bunOptions, ...explicit(paths)], { [machinesVariable]: "1" });
}

/** Runs `bun test` here, its output passed on. */
export async function runHostTests(words: readonly string[], env: Record<string, string>): Promise<SuiteResult> {
  const child = Bun.spawn([process.execPath, "test", ...words], {
    cwd: repository,
    env: { ...testEnvironment(), ...env },
    stdin: "ignore",
    stdout: "inherit",
    stderr: "pipe",
  });
  const summary = new SummaryReader();
  for await (const chunk of child.stderr) {
    summary.push(chunk);
    process.stderr.write(chunk);
  }
  const code = await child.exited;
  return { code, tally: summary.tally(code) };
}

/** A pipe stands between `bun test` and the terminal, which would cost its colours. */
function testEnvironment(): Record<string, string | undefined> {
  return process.stderr.isTTY ? { ...process.env, FORCE_COLOR: "1" } : process.env;
}

/** With `./`, bun takes a word for a path and not for a filter. */
function explicit(paths: readonly string[]): string[] {
  return paths.map((path) => `./${path}`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
