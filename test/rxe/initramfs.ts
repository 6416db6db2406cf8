import { $ } from "bun";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import type { Kernel } from "./kernel.ts";

/** Enough to reach the host's file system and the agent's port; all else is loaded from there. */
const bootModules = ["virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_console"];

/**
 * The archive that the kernel starts from: busybox, the boot modules in loading order, `init.sh` and `setup.sh`. It is
 * kept beside the kernel under the hash of both scripts, uncompressed: unpacking it would be emulated too.
 */
export async function ensureInitramfs(kernel: Kernel): Promise<string> {
  const scripts = { init: join(import.meta.dir, "init.sh"), "setup.sh": join(import.meta.dir, "setup.sh") };
  const hash = new Bun.CryptoHasher("sha256");
  for (const path of Object.values(scripts)) hash.update(await Bun.file(path).bytes());
  const archive = join(kernel.folder, `initramfs-${hash.digest("hex").slice(0, 16)}.cpio`);
  if (existsSync(archive)) return archive;

  const work = mkdtempSync(join(kernel.folder, "initramfs-"));
  try {
    const tree = join(work, "tree");
    for (const folder of ["bin", "modules"]) mkdirSync(join(tree, folder), { recursive: true });
    copyFileSync("/bin/busybox", join(tree, "bin/busybox"));
    for (const [name, path] of Object.entries(scripts)) {
      copyFileSync(path, join(tree, name));
      chmodSync(join(tree, name), 0o755);
    }
    const files = await loadingOrder(kernel);
    for (const file of files) copyFileSync(file, join(tree, "modules", basename(file)));
    writeFileSync(join(tree, "modules/order"), files.map((file) => `${basename(file)}\n`).join(""));
    await $`find . | cpio -o -H newc --quiet > ${join(work, "cpio")}`.cwd(tree).quiet();
    renameSync(join(work, "cpio"), archive);
    return archive;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The files of the boot modules and of what they depend on, each once, dependencies first. */
async function loadingOrder(kernel: Kernel): Promise<string[]> {
  const files = new Set<string>();
  for (const name of bootModules) {
    const lines = await $`modprobe -d ${kernel.folder} -S ${kernel.release} --show-depends ${name}`.quiet().text();
    for (const match of lines.matchAll(/^insmod (\S+)/gm)) files.add(match[1]!);
  }
  return [...files];
}
