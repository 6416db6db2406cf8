import { CheckpointError } from "../errors.ts";

/** Bytes of one element of the tensor types that are read. */
const elementBytes: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2 };

export type TensorType = "F32" | "F16" | "BF16";

export function isTensorType(name: string): name is TensorType {
  return name in elementBytes;
}

export function bytesPerElement(type: TensorType): number {
  return elementBytes[type]!;
}

/** The values of little-endian `bytes` as float32: exact for all three types. */
export function toFloat32(type: TensorType, bytes: ArrayBuffer): Float32Array {
  switch (type) {
    case "F32":
      return new Float32Array(bytes);
    case "BF16":
      return fromBfloat16(new Uint16Array(bytes));
    case "F16":
      return fromFloat16(new Uint16Array(bytes));
  }
}

/** bfloat16 is the upper half of a float32. */
function fromBfloat16(halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = halves[i]! << 16;
  return new Float32Array(words.buffer);
}

/** IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
function fromFloat16(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i]!;
    const exponent = (half >>> 10) & 31;
    const fraction = half & 1023;
    const magnitude =
      exponent === 31
        ? fraction === 0
          ? Infinity
          : NaN
        : exponent === 0
          ? fraction * 2 ** -24
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    values[i] = half & 0x8000 ? -magnitude : magnitude;
  }
  return values;
}

/** Parses safetensors' dtype name. */
export function tensorType(name: string, tensor: string, file: string): TensorType {
  if (isTensorType(name)) return name;
  throw new CheckpointError("UNSUPPORTED", `${file}: tensor ${tensor} is ${name}; F32, F16 and BF16 are supported`);
}
