import { z } from "zod";
import { CheckpointError } from "../errors.ts";
import { bytesPerElement, tensorType, toFloat32, type TensorType } from "./dtype.ts";

const HEADER_LIMIT = 100_000_000;

const tensorEntry = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  data_offsets: z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]),
});
const headerSchema = z.record(z.string(), z.unknown());

export interface TensorInfo {
  readonly type: TensorType;
  readonly shape: readonly number[];
  /** Byte range in the file. */
  readonly begin: number;
  readonly end: number;
}

/**
 * One safetensors file: 8 bytes header length (little endian), a JSON header, the tensors' bytes.
 * Only the header is read when it is opened; a tensor is read when it is asked for.
 * Source: https://huggingface.co/docs/safetensors (format).
 */
export class SafetensorsFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;

  private constructor(path: string, tensors: ReadonlyMap<string, TensorInfo>) {
    this.path = path;
    this.tensors = tensors;
  }

  /** @throws {CheckpointError} CHECKPOINT_NOT_FOUND or SAFETENSORS_INVALID, naming the file and the tensor. */
  static async open(path: string): Promise<SafetensorsFile> {
    const file = Bun.file(path);
    if (!(await file.exists())) throw new CheckpointError("CHECKPOINT_NOT_FOUND", `${path} does not exist`);
    if (file.size < 8) throw invalid(path, `${file.size} bytes are too few for a header`);
    const length = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
    if (length > HEADER_LIMIT || 8 + length > file.size) {
      throw invalid(path, `the header says it is ${length} bytes long, the file has ${file.size}`);
    }
    const header = parseHeader(path, await file.slice(8, 8 + length).text());
    const tensors = new Map<string, TensorInfo>();
    for (const [name, entry] of Object.entries(header)) {
      if (name !== "__metadata__") tensors.set(name, parseEntry(path, name, entry, 8 + length, file.size));
    }
    return new SafetensorsFile(path, tensors);
  }

  /** The values of a tensor that this file has, row-major. */
  async read(name: string): Promise<Float32Array> {
    const info = this.tensors.get(name)!;
    return toFloat32(info.type, await Bun.file(this.path).slice(info.begin, info.end).arrayBuffer());
  }
}

function parseHeader(path: string, text: string): Record<string, unknown> {
  try {
    return headerSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new CheckpointError("SAFETENSORS_INVALID", `${path}: the header is not a JSON object`, { cause });
  }
}

function parseEntry(path: string, name: string, entry: unknown, base: number, fileSize: number): TensorInfo {
  const parsed = tensorEntry.safeParse(entry);
  if (!parsed.success) throw invalid(path, `tensor ${name}: ${z.prettifyError(parsed.error)}`);
  const { dtype, shape, data_offsets: offsets } = parsed.data;
  const type = tensorType(dtype, name, path);
  const bytes = shape.reduce((product, size) => product * size, bytesPerElement(type));
  if (offsets[1] - offsets[0] !== bytes) {
    throw invalid(
      path,
      `tensor ${name}: [${shape}] of ${dtype} is ${bytes} bytes, its offsets span ${offsets[1] - offsets[0]}`,
    );
  }
  const end = base + offsets[1];
  if (end > fileSize) throw invalid(path, `tensor ${name} ends at byte ${end}, the file has ${fileSize}`);
  return { type, shape, begin: base + offsets[0], end };
}

function invalid(path: string, what: string): CheckpointError {
  return new CheckpointError("SAFETENSORS_INVALID", `${path}: ${what}`);
}
