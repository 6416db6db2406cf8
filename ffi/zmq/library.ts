import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type Library, NativeBuffer, openLibrary } from "../runtime/index.ts";
import { symbols } from "./symbols.ts";

let opened: Library<typeof symbols, Record<never, never>> | undefined;

/**
 * libzmq, loaded at the first use: `KVWIRE_LIBZMQ` alone if it is set, else the copy inside the npm package `zeromq`,
 * else the system's.
 * @throws {LibraryNotFoundError} naming every file tried.
 */
export function libzmq(): Library<typeof symbols, Record<never, never>> {
  return (opened ??= openLibrary({
    name: "libzmq",
    candidates: candidates(process.env["KVWIRE_LIBZMQ"]),
    symbols,
    hint: "install the npm package zeromq or the system's libzmq 4.3, or name the file in KVWIRE_LIBZMQ",
  }));
}

/** The file that libzmq was loaded from. */
export function zmqLibraryPath(): string {
  return libzmq().path;
}

/** The version of the loaded library, as "4.3.5". */
export function zmqVersion(): string {
  const parts = NativeBuffer.allocate(12);
  libzmq().symbols.zmq_version(parts.address, parts.address + 4, parts.address + 8);
  return parts.i32.subarray(0, 3).join(".");
}

/** Whether the library was built with a capability of zmq_has(3): "curve", "ipc", "gssapi", "draft"… */
export function hasCapability(capability: string): boolean {
  return libzmq().symbols.zmq_has(capability) === 1;
}

function candidates(override: string | undefined): string[] {
  return override ? [override] : [...packaged(), "libzmq.so.5", "libzmq.so"];
}

/**
 * The package's addon exports libzmq's whole C interface. Its build for Node ABI 127 exists for each processor and C
 * library and asks for the oldest glibc, so it goes first; the others follow, newest first.
 */
function packaged(): string[] {
  const abiOf = (folder: string): number => Number(/-(\d+)-/.exec(folder)?.[1]);
  const rank = (folder: string): number => (abiOf(folder) === 127 ? Infinity : abiOf(folder));
  try {
    const manifest = createRequire(import.meta.url).resolve("zeromq/package.json");
    const builds = join(dirname(manifest), "build", process.platform, process.arch, "node");
    return readdirSync(builds)
      .filter((folder) => new RegExp(`^${cLibrary()}-\\d+-Release$`).test(folder))
      .sort((a, b) => (rank(b) > rank(a) ? 1 : -1))
      .map((folder) => join(builds, folder, "addon.node"));
  } catch {
    return []; // not installed, or without a build for this machine: the system's library is tried next
  }
}

/** Which C library this process runs on: two of them in one process would not get along. */
function cLibrary(): "glibc" | "musl" {
  return readFileSync("/proc/self/maps", "latin1").includes("/ld-musl-") ? "musl" : "glibc";
}
