import { $ } from "bun";
import { MachineUnavailableError } from "./errors.ts";

/** What the machine is made of, and what is used inside it: its root file system is this computer's. */
export const packages = [
  "qemu-system-x86",
  "busybox-static",
  "cpio",
  "kmod",
  "xz-utils",
  "iproute2",
  "rdma-core",
  "ibverbs-providers",
  "ibverbs-utils",
  "perftest",
  "python3-pyverbs",
] as const;

const installOptions = ["-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function missing(): Promise<string[]> {
  const format = "${Package} ${db:Status-Status}\n";
  const { stdout } = await $`dpkg-query -W -f ${format} ${[...packages]}`.quiet().nothrow();
  const installed = new Set(
    stdout
      .toString()
      .split("\n")
      .filter((line) => line.endsWith(" installed")),
  );
  return packages.filter((name) => !installed.has(`${name} installed`));
}

/**
 * Makes sure that every package is installed: by apt-get for root, who is told; by asking for anybody else.
 * @throws {MachineUnavailableError} with the line to type.
 */
export async function ensurePackages(): Promise<void> {
  if (process.platform !== "linux" || process.arch !== "x64" || Bun.which("apt-get") === null) {
    throw new MachineUnavailableError(
      `needs a Debian-like x86-64 Linux with apt-get; this is ${process.platform} ${process.arch}`,
    );
  }
  const absent = await missing();
  if (absent.length === 0) return;
  const remedy = `apt-get install -y --no-install-recommends ${absent.join(" ")}`;
  if (process.getuid?.() !== 0) {
    throw new MachineUnavailableError(`packages are missing: ${absent.join(" ")}`, { remedy: `sudo ${remedy}` });
  }
  say(`installing ${absent.join(" ")}`);
  await withFreshLists(() =>
    $`apt-get install ${installOptions} ${absent} < /dev/null`
      .env({ ...process.env, DEBIAN_FRONTEND: "noninteractive" })
      .quiet(),
  ).catch((cause: unknown) => {
    throw new MachineUnavailableError(`apt-get failed: ${failureOf(cause)}`, { remedy, cause });
  });
}

/** Runs an apt command; when it fails, brings the package lists up to date and runs it once more. */
export async function withFreshLists<T>(command: () => PromiseLike<T>): Promise<T> {
  try {
    return await command();
  } catch (cause) {
    if (process.getuid?.() !== 0) throw cause;
    await $`apt-get update < /dev/null`.quiet();
    return await command();
  }
}

/** The last line that a failed command wrote to its standard error. */
export function failureOf(cause: unknown): string {
  if (cause instanceof $.ShellError) return cause.stderr.toString().trim().split("\n").at(-1) ?? cause.message;
  return cause instanceof Error ? cause.message : String(cause);
}
