import { libc } from "../../libc/index.ts";
import { type Library, openLibrary, unsafeReadI32 } from "../../runtime/index.ts";
import { optionalSymbols, requiredSymbols } from "./symbols.ts";

export type VerbsLibrary = Library<typeof requiredSymbols, typeof optionalSymbols>;

let verbsLibrary: VerbsLibrary | undefined;

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

/** This thread's errno, to be read before any other native call. */
export function lastErrno(): number {
  return unsafeReadI32(libc.__errno_location());
}
