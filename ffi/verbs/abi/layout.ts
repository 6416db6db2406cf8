/**
 * C struct layouts as data: which field, of which type, at which offset. The tables beside this file are compared with
 * the C compiler's own sizeof and offsetof by test/ffi/verbs/abi/layout.test.ts.
 * @module
 */

export type Architecture = "x86-64" | "aarch64";

export type FieldType = "u8" | "u16" | "u32" | "i32" | "u64" | "pointer" | "bytes";

export interface Field<T extends FieldType = FieldType> {
  readonly type: T;
  /** Bytes from the start of the struct, or from its `relativeTo` field. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

export type Fields = Readonly<Record<string, Field>>;

export interface StructLayout<F extends Fields = Fields> {
  /** The C name, after `struct` or `union`. */
  readonly name: string;
  /** How C refers to the type, such as `struct ibv_sge`. */
  readonly cType: string;
  /** sizeof, in bytes. */
  readonly size: number;
  /** C member names; nested members are written with dots, as offsetof takes them. */
  readonly fields: F;
  /** Offsets count from this member instead of from the start (tables that grow at the front). */
  readonly relativeTo?: string;
  /** Newer headers append members (or put them in front, with `relativeTo`): sizeof may be larger than ours. */
  readonly extensible?: true;
}

function field<T extends FieldType>(type: T, offset: number, size: number): Field<T> {
  return { type, offset, size };
}

export const u8 = (offset: number): Field<"u8"> => field("u8", offset, 1);
export const u16 = (offset: number): Field<"u16"> => field("u16", offset, 2);
export const u32 = (offset: number): Field<"u32"> => field("u32", offset, 4);
export const i32 = (offset: number): Field<"i32"> => field("i32", offset, 4);
export const u64 = (offset: number): Field<"u64"> => field("u64", offset, 8);
export const pointer = (offset: number): Field<"pointer"> => field("pointer", offset, 8);
export const bytes = (offset: number, size: number): Field<"bytes"> => field("bytes", offset, size);

export function struct<const F extends Fields>(name: string, size: number, fields: F): StructLayout<F> {
  return { name, cType: `struct ${name}`, size, fields };
}

export function union<const F extends Fields>(name: string, size: number, fields: F): StructLayout<F> {
  return { name, cType: `union ${name}`, size, fields };
}

/** The architecture of this process; the tables know no other than the two. */
export const hostArchitecture: Architecture = process.arch === "arm64" ? "aarch64" : "x86-64";

/** sizeof(pthread_mutex_t) in glibc, the only thing in which the two architectures' layouts differ. */
export const mutexBytes: Readonly<Record<Architecture, number>> = { "x86-64": 40, aarch64: 48 };

/** sizeof(pthread_cond_t) in glibc on both. */
export const conditionBytes = 48;
