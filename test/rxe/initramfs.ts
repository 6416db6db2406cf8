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

/**
 * The modules in the archive, by the step of `init.sh` that loads them; all others come from the unpacked kernel when
 * they are asked for. `rdma_rxe` asks the crypto API for crc32 and does not pull that module in by itself.
 */
const modules = {
  "boot.order": ["virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_console"],
  "device.order": ["crc32_generic", "rdma_rxe", "dummy", "virtio_net"],
} as const;

/**
 * The archive that the kernel starts from: busybox, modules, `init.sh`. It is kept beside the kernel under the hash of
 * what it is made from, uncompressed: unpacking it would be emulated too.
 */
export async function ensureInitramfs(kernel: Kernel): Promise<string> {
  const init = join(import.meta.dir, "init.sh");
  const recipe = `${await Bun.file(init).text()}${JSON.stringify(modules)}`;
  const hash = new Bun.CryptoHasher("sha256").update(recipe).digest("hex").slice(0, 16);
  const archive = join(kernel.folder, `initramfs-${hash}.cpio`);
  if (existsSync(archive)) return archive;

  const work = mkdtempSync(join(kernel.folder, "initramfs-"));
  try {
    const tree = join(work, "tree");
    for (const folder of ["bin", "modules"]) mkdirSync(join(tree, folder), { recursive: true });
    copyFileSync("/bin/busybox", join(tree, "bin/busybox"));
    copyFileSync(init, join(tree, "init"));
    chmodSync(join(tree, "init"), 0o755);
    const seen = new Set<string>();
    for (const [order, names] of Object.entries(modules)) {
      const files = (await loadingOrder(kernel, names)).filter((file) => !seen.has(file));
      for (const file of files) {
        seen.add(file);
        copyFileSync(file, join(tree, "modules", basename(file)));
      }
      writeFileSync(join(tree, "modules", order), files.map((file) => `${basename(file)}\n`).join(""));
    }
    await $`find . | cpio -o -H newc --quiet > ${join(work, "cpio")}`.cwd(tree).quiet();
    renameSync(join(work, "cpio"), archive);
    return archive;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The files of some modules and of what they depend on, each once, dependencies first. */
async function loadingOrder(kernel: Kernel, names: readonly string[]): Promise<string[]> {
  const files = new Set<string>();
  for (const name of names) {
    const lines = await $`modprobe -d ${kernel.folder} -S ${kernel.release} --show-depends ${name}`.quiet().text();
    for (const match of lines.matchAll(/^insmod (\S+)/gm)) files.add(match[1]!);
  }
  return [...files];
}
