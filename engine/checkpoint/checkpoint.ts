import { join } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../errors.ts";
import { type ModelConfig, readEosTokenIds, readJson, readModelConfig } from "./config.ts";
import { SafetensorsFile } from "./safetensors.ts";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const indexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string().regex(/^[^/\\]+$/, "a file name")) });

/** A Hugging Face checkpoint directory: config.json and its tensors, in one safetensors file or in shards with an index. */
export class Checkpoint {
  readonly directory: string;
  readonly config: ModelConfig;
  readonly eosTokenIds: ReadonlySet<number>;
  readonly #files: ReadonlyMap<string, SafetensorsFile>;

  private constructor(
    directory: string,
    config: ModelConfig,
    eos: ReadonlySet<number>,
    files: ReadonlyMap<string, SafetensorsFile>,
  ) {
    this.directory = directory;
    this.config = config;
    this.eosTokenIds = eos;
    this.#files = files;
  }

  /** @throws {CheckpointError} */
  static async open(directory: string): Promise<Checkpoint> {
    const config = await readModelConfig(directory);
    const eos = await readEosTokenIds(directory, config);
    const sharded = await Bun.file(join(directory, INDEX)).exists();
    const files = sharded ? await openShards(directory) : await openSingle(directory);
    return new Checkpoint(directory, config, eos, files);
  }

  has(name: string): boolean {
    return this.#files.has(name);
  }

  /**
   * The values of tensor `name`, row-major, as float32.
   * @throws {CheckpointError} TENSOR_MISSING, or TENSOR_SHAPE unless its shape is `shape`.
   */
  async tensor(name: string, shape: readonly number[]): Promise<Float32Array> {
    const file = this.#files.get(name);
    if (file === undefined) {
      throw new CheckpointError("TENSOR_MISSING", `${this.directory} has no tensor ${name} of shape [${shape}]`);
    }
    const found = file.tensors.get(name)!.shape;
    if (found.length !== shape.length || found.some((value, axis) => value !== shape[axis])) {
      throw new CheckpointError("TENSOR_SHAPE", `${file.path}: ${name} should be [${shape}], it is [${found}]`);
    }
    return file.read(name);
  }
}

async function openSingle(directory: string): Promise<Map<string, SafetensorsFile>> {
  const file = await SafetensorsFile.open(join(directory, SINGLE));
  return new Map([...file.tensors.keys()].map((name) => [name, file]));
}

async function openShards(directory: string): Promise<Map<string, SafetensorsFile>> {
  const parsed = indexSchema.safeParse(await readJson(directory, INDEX));
  if (!parsed.success) {
    throw new CheckpointError("CONFIG_INVALID", `${join(directory, INDEX)}: ${z.prettifyError(parsed.error)}`);
  }
  const shards = new Map<string, SafetensorsFile>();
  const files = new Map<string, SafetensorsFile>();
  for (const [tensor, name] of Object.entries(parsed.data.weight_map)) {
    const shard = shards.get(name) ?? (await SafetensorsFile.open(join(directory, name)));
    shards.set(name, shard);
    if (!shard.tensors.has(tensor)) {
      throw new CheckpointError("TENSOR_MISSING", `${shard.path} has no tensor ${tensor}, which ${INDEX} puts there`);
    }
    files.set(tensor, shard);
  }
  return files;
}
