import { type Library, openLibrary, unsafeReadI32 } from "../../runtime/index.ts";
import { optionalSymbols, requiredSymbols } from "./symbols.ts";

const libcSymbols = {
  __errno_location: { parameters: [], result: "pointer" },
  /* C's third parameter is variadic; both ABIs pass an int there like a declared one. */
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  poll: { parameters: ["pointer", "u64", "i32" /* ms */], result: "i32" },
  if_indextoname: { parameters: ["u32", "pointer" /* 16 bytes */], result: "pointer" },
} as const;

export type VerbsLibrary = Library<typeof requiredSymbols, typeof optionalSymbols>;

let verbsLibrary: VerbsLibrary | undefined;
let libcLibrary: Library<typeof libcSymbols, Record<never, never>> | undefined;

/**
 * libibverbs, loaded at first use. `LIBIBVERBS_PATH` names another file.
 * @throws {LibraryNotFoundError} where no candidate loads.
 */
export function verbs(): VerbsLibrary {
  verbsLibrary ??= openLibrary({
    name: "libibverbs",
    candidates: process.env["LIBIBVERBS_PATH"]
      ? [process.env["LIBIBVERBS_PATH"]]
      : ["libibverbs.so.1", "libibverbs.so"],
    symbols: requiredSymbols,
    optional: optionalSymbols,
    hint: "install libibverbs1 and ibverbs-providers (Debian) or libibverbs (Fedora), or set LIBIBVERBS_PATH",
  });
  return verbsLibrary;
}

/** The few calls of the C library without which verbs cannot be used: errno, poll, O_NONBLOCK, interface names. */
export function libc() {
  libcLibrary ??= openLibrary({
    name: "the C library",
    candidates: ["libc.so.6", "libc.so"],
    symbols: libcSymbols,
  });
  return libcLibrary.symbols;
}

/** This thread's errno, to be read before any other native call. */
export function lastErrno(): number {
  return unsafeReadI32(libc().__errno_location());
}
