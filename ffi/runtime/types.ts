/**
 * The neutral vocabulary in which every symbol table is written: no runtime's own type names appear outside this folder.
 * @module
 */

/** A machine address. A plain number: user-space addresses on x86-64 and aarch64 are below 2^53. 0 is NULL. */
export type Address = number;

export const NULL: Address = 0;

export type NativeType =
  | "void"
  | "bool"
  | "i8"
  | "u8"
  | "i16"
  | "u16"
  | "i32"
  | "u32"
  | "i64"
  | "u64"
  | "isize"
  | "usize"
  | "f32"
  | "f64"
  | "pointer"
  /** Parameters only: a JavaScript string, copied to a NUL-terminated UTF-8 buffer that lives for the call. */
  | "cstring";

/** One C function: the types of its parameters, in order, and of its result. */
export interface Signature {
  readonly parameters: readonly NativeType[];
  readonly result: NativeType;
}

/** The C functions of one library, in the order of its header. */
export type SymbolTable = Readonly<Record<string, Signature>>;

type ParameterOf<T extends NativeType> = T extends "bool"
  ? boolean
  : T extends "cstring"
    ? string
    : T extends "i64" | "u64" | "isize" | "usize"
      ? number | bigint
      : number;

/** 64-bit results are numbers while they are exact and bigints beyond; sizes and addresses are always numbers. */
type ResultOf<T extends NativeType> = T extends "void"
  ? void
  : T extends "bool"
    ? boolean
    : T extends "i64" | "u64"
      ? number | bigint
      : number;

type ParametersOf<T extends readonly NativeType[]> = { -readonly [I in keyof T]: ParameterOf<T[I]> };

export type NativeFunction<S extends Signature> = (...args: ParametersOf<S["parameters"]>) => ResultOf<S["result"]>;

export type NativeFunctions<T extends SymbolTable> = { readonly [K in keyof T]: NativeFunction<T[K]> };
