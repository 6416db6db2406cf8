/**
 * Structures that cross the boundary, as data: bytes of the whole and, per field, where it starts and how long it is.
 * A test compares them with the headers of both major versions.
 * @module
 */

export interface Layout {
  /** As C spells the type. */
  readonly type: string;
  readonly byteLength: number;
  readonly fields: Readonly<Record<string, readonly [offset: number, byteLength: number]>>;
}

/** 24 bytes in 12.x; 13.0 added a reserved tail. Only these fields are read, out of a buffer long enough for both. */
export const pointerAttributes = {
  type: "struct cudaPointerAttributes",
  byteLength: 88,
  fields: { type: [0, 4], device: [4, 4], devicePointer: [8, 8], hostPointer: [16, 8] },
} as const satisfies Layout;

export const pointerAttributes12 = { ...pointerAttributes, byteLength: 24 } as const satisfies Layout;

export const memcpyAttributes = {
  type: "struct cudaMemcpyAttributes",
  byteLength: 24,
  fields: { srcAccessOrder: [0, 4], srcLocHint: [4, 8], dstLocHint: [12, 8], flags: [20, 4] },
} as const satisfies Layout;

export const ipcMemoryHandle = {
  type: "cudaIpcMemHandle_t",
  byteLength: 64,
  fields: { reserved: [0, 64] },
} as const satisfies Layout;

export const ipcEventHandle = {
  type: "cudaIpcEventHandle_t",
  byteLength: 64,
  fields: { reserved: [0, 64] },
} as const satisfies Layout;
