import { roundToBfloat16 } from "../../engine/math/index.ts";

export interface TensorSource {
  readonly type: "F32" | "F16" | "BF16";
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** The bytes of a safetensors file with these tensors. */
export function writeSafetensors(tensors: Readonly<Record<string, TensorSource>>): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  const chunks: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { type, shape, values }] of Object.entries(tensors)) {
    const bytes = encode(type, values);
    header[name] = { dtype: type, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    chunks.push(bytes);
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  return new Uint8Array(Buffer.concat([length, json, ...chunks]));
}

function encode(type: TensorSource["type"], values: readonly number[]): Uint8Array {
  if (type === "F32") return new Uint8Array(Float32Array.from(values).buffer);
  const bytes = new Uint8Array(values.length * 2);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    if (type === "F16") view.setFloat16(i * 2, value, true);
    else view.setUint16(i * 2, new Uint32Array(Float32Array.of(roundToBfloat16(value)).buffer)[0]! >>> 16, true);
  });
  return bytes;
}
