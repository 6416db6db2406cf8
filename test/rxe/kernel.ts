import { $ } from "bun";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { MachineUnavailableError } from "./errors.ts";
import { failureOf, withFreshLists } from "./packages.ts";

/** A kernel unpacked from its Debian package, never installed. */
export interface Kernel {
  /** As `uname -r` will say it: "6.1.0-56-amd64". */
  readonly release: string;
  /** The uncompressed ELF image: QEMU enters it directly, which saves the emulated decompression, about 4 s. */
  readonly image: string;
  /** What stands for `/lib/modules` in the machine. */
  readonly modules: string;
  /** The folder of all this, in the user's cache. */
  readonly folder: string;
}

/** The parts of the package that a machine without disks, screens and sound can use: a third of it. */
const wanted = [
  "./boot/vmlinuz-*",
  "./lib/modules/*/modules.*",
  "./lib/modules/*/kernel/arch/*",
  "./lib/modules/*/kernel/crypto/*",
  "./lib/modules/*/kernel/fs/*",
  "./lib/modules/*/kernel/lib/*",
  "./lib/modules/*/kernel/net/*",
  "./lib/modules/*/kernel/drivers/virtio/*",
  "./lib/modules/*/kernel/drivers/char/*",
  "./lib/modules/*/kernel/drivers/net/*.ko",
  "./lib/modules/*/kernel/drivers/infiniband/core/*",
  "./lib/modules/*/kernel/drivers/infiniband/sw/*",
];

export function cacheFolder(): string {
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "kvwire");
}

function describe(folder: string): Kernel {
  const modules = join(folder, "lib/modules");
  const release = readdirSync(modules)[0];
  if (release === undefined) throw new MachineUnavailableError(`no kernel modules in ${modules}: remove ${folder}`);
  return { release, image: join(folder, "vmlinux"), modules, folder };
}

/**
 * The cached kernel, or the one that Debian's `linux-image-amd64` stands for now, downloaded and unpacked.
 * @throws {MachineUnavailableError} when apt-get cannot bring it.
 */
export async function ensureKernel(): Promise<Kernel> {
  const cache = cacheFolder();
  mkdirSync(cache, { recursive: true });
  const cached = readdirSync(cache)
    .filter((name) => name.startsWith("linux-image-"))
    .sort()
    .at(-1);
  if (cached !== undefined) return describe(join(cache, cached));

  const work = mkdtempSync(join(cache, "unpacking-"));
  try {
    process.stderr.write("downloading and unpacking a kernel (once)\n");
    const name = await withFreshLists(download(work));
    const folder = join(cache, name);
    renameSync(await unpack(work), folder);
    return describe(folder);
  } catch (cause) {
    // Another run may have put the same folder there meanwhile: rename refuses to replace it, and it is as good.
    const other = readdirSync(cache).find((name) => name.startsWith("linux-image-"));
    if (other !== undefined) return describe(join(cache, other));
    const remedy = process.getuid?.() === 0 ? "apt-get update" : "sudo apt-get update";
    throw new MachineUnavailableError(`cannot get a kernel: ${failureOf(cause)}`, { remedy, cause });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Downloads the versioned package that the metapackage depends on; its name without `.deb`. */
function download(work: string): () => Promise<string> {
  return async () => {
    const depends = await $`apt-cache depends linux-image-amd64`.quiet().text();
    const name = /linux-image-\S+/.exec(depends.slice(depends.indexOf("Depends:")))?.[0];
    if (name === undefined) throw new Error("the package lists have no linux-image-amd64");
    // As root, apt warns that its own user cannot write here; the file comes all the same.
    await $`apt-get download ${name}`.cwd(work).quiet();
    const file = readdirSync(work).find((entry) => entry.endsWith(".deb"));
    if (file === undefined) throw new Error(`apt-get download ${name} left no file`);
    return file.replace(/\.deb$/, "");
  };
}

async function unpack(work: string): Promise<string> {
  const tree = join(work, "tree");
  mkdirSync(tree);
  const deb = readdirSync(work).find((entry) => entry.endsWith(".deb"))!;
  await $`dpkg-deb --fsys-tarfile ${join(work, deb)} | tar -x -C ${tree} --wildcards ${wanted}`.quiet();
  const { release } = describe(tree);
  await $`depmod -b ${tree} ${release}`.quiet();
  await extractImage(join(tree, "boot", `vmlinuz-${release}`), join(tree, "vmlinux"));
  rmSync(join(tree, "boot"), { recursive: true });
  return tree;
}

/** Takes the xz-compressed ELF kernel out of a bzImage (Documentation/x86/boot.rst: payload_offset, payload_length). */
async function extractImage(compressed: string, image: string): Promise<void> {
  const bytes = Buffer.from(await Bun.file(compressed).arrayBuffer());
  const start = (bytes.readUInt8(0x1f1) + 1) * 512 + bytes.readUInt32LE(0x248);
  const payload = bytes.subarray(start, start + bytes.readUInt32LE(0x24c));
  const xz = Bun.spawn(["xz", "-dc", "--single-stream"], { stdin: payload, stdout: Bun.file(image), stderr: "pipe" });
  if ((await xz.exited) !== 0) throw new Error(`${compressed}: ${await xz.stderr.text()}`);
}
