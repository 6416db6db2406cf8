/** The only folder that imports bun:ffi. @module */
export { LibraryNotFoundError } from "./errors.ts";
export { type Library, type LibrarySearch, openLibrary, unsafeFunctionAt } from "./library.ts";
export {
  NativeBuffer,
  unsafeReadAddress,
  unsafeReadCString,
  unsafeReadI32,
  unsafeReadU32,
  unsafeReadU64,
  unsafeReadU8,
  unsafeViewAt,
} from "./native-buffer.ts";
export {
  type Address,
  type NativeFunction,
  type NativeFunctions,
  type NativeType,
  NULL,
  type Signature,
  type SymbolTable,
} from "./types.ts";
