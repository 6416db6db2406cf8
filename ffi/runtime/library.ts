import { CFunction, dlopen, type FFIFunction, FFIType } from "bun:ffi";
import { LibraryNotFoundError } from "./errors.ts";
import type { Address, NativeFunction, NativeFunctions, NativeType, Signature, SymbolTable } from "./types.ts";

/** Result types whose name differs from the parameter's: `_fast` gives a number whenever it is exact, and NULL as 0. */
const resultTypes: Partial<Record<NativeType, FFIType>> = {
  i64: FFIType.i64_fast,
  u64: FFIType.u64_fast,
  isize: FFIType.i64_fast,
  usize: FFIType.u64_fast,
  pointer: FFIType.u64_fast,
};

const parameterTypes: Record<NativeType, FFIType> = {
  void: FFIType.void,
  bool: FFIType.bool,
  i8: FFIType.i8,
  u8: FFIType.u8,
  i16: FFIType.i16,
  u16: FFIType.u16,
  i32: FFIType.i32,
  u32: FFIType.u32,
  i64: FFIType.i64,
  u64: FFIType.u64,
  isize: FFIType.i64,
  usize: FFIType.u64,
  f32: FFIType.f32,
  f64: FFIType.f64,
  pointer: FFIType.ptr,
  cstring: FFIType.cstring,
};

function toBun(signature: Signature): FFIFunction {
  return {
    args: signature.parameters.map((type) => parameterTypes[type]),
    returns: resultTypes[signature.result] ?? parameterTypes[signature.result],
  };
}

export interface LibrarySearch<Required extends SymbolTable, Optional extends SymbolTable> {
  /** What a person calls it, for messages. */
  readonly name: string;
  /** File names or paths, tried in order. */
  readonly candidates: readonly string[];
  readonly symbols: Required;
  /** Symbols that older versions lack; each is probed alone and is `undefined` where it is missing. */
  readonly optional?: Optional;
  /** One sentence for the error when no candidate loads: what to install, which variable overrides. */
  readonly hint?: string;
}

export interface Library<Required extends SymbolTable, Optional extends SymbolTable> {
  /** The candidate that was loaded. */
  readonly path: string;
  readonly symbols: NativeFunctions<Required>;
  readonly optional: Partial<NativeFunctions<Optional>>;
}

/**
 * Loads the first candidate that the dynamic linker accepts. Libraries stay loaded for the life of the process.
 * @throws {LibraryNotFoundError} naming every path tried and what the linker said of it.
 */
export function openLibrary<const R extends SymbolTable, const O extends SymbolTable = Record<never, never>>(
  search: LibrarySearch<R, O>,
): Library<R, O> {
  const tried: string[] = [];
  for (const path of search.candidates) {
    try {
      const symbols = bind(path, search.symbols);
      const optional: Record<string, unknown> = {};
      for (const [name, signature] of Object.entries(search.optional ?? {})) {
        optional[name] = bindOptional(path, name, signature);
      }
      return { path, symbols, optional: optional as Partial<NativeFunctions<O>> };
    } catch (cause) {
      tried.push(`${path}: ${reasonOf(cause)}`);
    }
  }
  throw new LibraryNotFoundError(search.name, tried, search.hint);
}

/** The linker's words, without the path that Bun and the linker put before them: it may be one that nobody asked for. */
function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.replace(/^Failed to open library ".*?": (\/\S+: )?/, "");
}

function bind<T extends SymbolTable>(path: string, table: T): NativeFunctions<T> {
  const declarations = Object.fromEntries(Object.entries(table).map(([name, s]) => [name, toBun(s)]));
  return dlopen(path, declarations).symbols as unknown as NativeFunctions<T>;
}

function bindOptional(path: string, name: string, signature: Signature): unknown {
  try {
    return bind(path, { [name]: signature })[name];
  } catch {
    return undefined;
  }
}

/** Makes a C function pointer callable. The caller answers for the address and for the signature. */
export function unsafeFunctionAt<const S extends Signature>(address: Address, signature: S): NativeFunction<S> {
  return CFunction({ ptr: address as never, ...toBun(signature) }) as unknown as NativeFunction<S>;
}
