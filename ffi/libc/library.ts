import { openLibrary } from "../runtime/index.ts";
import { libcSymbols } from "./symbols.ts";

/** The raw functions. Addresses given to them must come from a NativeBuffer or a Mapping. */
export const libc = openLibrary({
  name: "the C library",
  candidates: ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"],
  symbols: libcSymbols,
  hint: "kvwire's host memory and sockets need Linux",
}).symbols;
