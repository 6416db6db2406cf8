import type { Kernel } from "./kernel.ts";

/** How a machine sees the others: alone on a dummy device, or on a link whose two ends are datagram sockets. */
export type Link =
  { readonly kind: "alone" } | { readonly kind: "socket"; readonly own: string; readonly peer: string };

export interface Hardware {
  readonly processors: number;
  readonly memoryMiB: number;
  readonly link: Link;
  /** The last byte of the Ethernet address, unique on the link. */
  readonly number: number;
}

/** Words for the kernel; those that it does not know become variables of process 1. */
const kernelWords = [
  "console=ttyS0",
  "quiet",
  "loglevel=4",
  "panic=-1",
  "oops=panic",
  "mitigations=off",
  "nokaslr",
  "tsc=reliable",
  "cryptomgr.notests",
  "audit=0",
  "random.trust_cpu=on",
];

/**
 * The command line of one machine. Standard input and output are the guest program's port, standard error is the
 * console: nothing has a name that another machine could take. `setpriv` ties QEMU's life to this process, however that
 * dies.
 */
export function qemuCommand(
  kernel: Kernel,
  initramfs: string,
  hardware: Hardware,
  variables: Readonly<Record<string, string>>,
): string[] {
  const words = Object.entries(variables).map(([name, value]) => `"${name}=${value}"`);
  // prettier-ignore
  return [
    "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64",
    "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", String(hardware.processors),
    "-m", String(hardware.memoryMiB), "-nodefaults", "-display", "none", "-no-reboot",
    "-kernel", kernel.image, "-initrd", initramfs, "-append", [...kernelWords, ...words].join(" "),
    "-chardev", "file,id=console,path=/dev/stderr,append=on", "-serial", "chardev:console",
    "-chardev", "stdio,id=guest,signal=off", "-device", "virtio-serial-pci",
    "-device", "virtserialport,chardev=guest,name=kvwire",
    "-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
    "-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
    ...linkArguments(hardware),
  ];
}

/** Two networks between the same two machines: each has two ports. */
function linkArguments({ link, number }: Hardware): string[] {
  if (link.kind === "alone") return [];
  return [0, 1].flatMap((network) => {
    const path = (end: string): string => `${end}-${network}`;
    const ends = `local.type=unix,local.path=${path(link.own)},remote.type=unix,remote.path=${path(link.peer)}`;
    const mac = `52:54:00:6b:7${6 + network}:${number.toString(16).padStart(2, "0")}`;
    const device = `virtio-net-pci,netdev=link${network},mac=${mac},romfile=`;
    return ["-netdev", `dgram,id=link${network},${ends}`, "-device", device];
  });
}
