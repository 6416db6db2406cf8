import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Checkpoint } from "../../../engine/checkpoint/index.ts";
import { heapMemory, KvPool } from "../../../engine/kvcache/index.ts";
import { loadModel } from "../../../engine/model/index.ts";
import { writeSafetensors } from "../safetensors-writer.ts";
import { type Tensors, tinyConfig, tinyTensors, writeCheckpoint } from "../tiny-model.ts";

const root = mkdtempSync(join(tmpdir(), "kvwire-checkpoint-"));
afterAll(() => rmSync(root, { recursive: true }));

let count = 0;
function write(config: Record<string, unknown>, tensors: Tensors, sharded = false): Promise<string> {
  return writeCheckpoint(join(root, `${count++}`), config, tensors, sharded);
}

async function logits(directory: string): Promise<Float32Array> {
  const model = await loadModel(await Checkpoint.open(directory));
  const pool = new KvPool({ layout: model.layout, pageSize: 2, pages: 4, memory: heapMemory });
  const tokens = Int32Array.of(3, 14, 15, 9);
  return model.createStep(pool).forward([{ tokens, start: 0, pages: pool.allocator.allocate(2), logitsFrom: 0 }]);
}

async function problem(directory: Promise<string>): Promise<{ code: string; message: string }> {
  const error: unknown = await logits(await directory).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(Error);
  const { code, message } = error as Error & { code: string };
  return { code, message };
}

describe("a checkpoint", () => {
  test("gives the same logits as float32, float16, bfloat16 and in shards", async () => {
    const expected = await logits(await write(tinyConfig, tinyTensors()));
    expect(expected.length).toBe(4 * 16);
    expect(new Set(expected).size).toBeGreaterThan(32);
    expect(await logits(await write(tinyConfig, tinyTensors("F16")))).toEqual(expected);
    expect(await logits(await write(tinyConfig, tinyTensors("BF16")))).toEqual(expected);
    expect(await logits(await write(tinyConfig, tinyTensors("BF16"), true))).toEqual(expected);
  });

  test("of Qwen2 has biases on query, key and value, and they count", async () => {
    const config = { ...tinyConfig, architectures: ["Qwen2ForCausalLM"] };
    const biased = await logits(await write(config, tinyTensors("F32", true)));
    expect(biased).not.toEqual(await logits(await write(tinyConfig, tinyTensors())));
    expect(await problem(write(config, tinyTensors()))).toMatchObject({
      code: "TENSOR_MISSING",
      message: expect.stringContaining("model.layers.0.self_attn.q_proj.bias of shape [8]"),
    });
  });

  test("float16 denormals, signs and infinities are read as they are", async () => {
    const values = [0, -0, 2 ** -24, -(2 ** -15), 65504, -1.5, Infinity];
    const directory = await write(tinyConfig, { x: { type: "F16", shape: [7], values } });
    expect(Array.from(await (await Checkpoint.open(directory)).tensor("x", [7]))).toEqual(values);
  });

  for (const [name, config, code, part] of [
    [
      "an unknown architecture",
      { architectures: ["GPT9"] },
      "ARCHITECTURE_UNKNOWN",
      "GPT9 is not known; known are Llama",
    ],
    ["a name every object has", { architectures: ["toString"] }, "ARCHITECTURE_UNKNOWN", "toString"],
    ["a missing field", { hidden_size: undefined }, "CONFIG_INVALID", "hidden_size"],
    ["another activation", { hidden_act: "gelu" }, "UNSUPPORTED", 'hidden_act "gelu"'],
    ["quantized weights", { quantization_config: { bits: 4 } }, "UNSUPPORTED", "quantized"],
    ["yarn", { rope_scaling: { type: "yarn", factor: 4 } }, "UNSUPPORTED", '"yarn"'],
    ["linear scaling without factor", { rope_scaling: { type: "linear" } }, "CONFIG_INVALID", "rope factor"],
    ["a wrong size", { intermediate_size: 13 }, "TENSOR_SHAPE", "should be [13,8], it is [12,8]"],
    [
      "DeepSeek without its sizes",
      { architectures: ["DeepseekV3ForCausalLM"], first_k_dense_replace: 1 },
      "CONFIG_INVALID",
      "kv_lora_rank",
    ],
    ["DeepSeek with experts", { architectures: ["DeepseekV3ForCausalLM"] }, "UNSUPPORTED", "mixture-of-experts"],
  ] as const) {
    test(`with ${name} is refused by name`, async () => {
      const found = await problem(write({ ...tinyConfig, ...config }, tinyTensors()));
      expect(found.code).toBe(code);
      expect(found.message).toContain(part);
    });
  }

  test("without a tensor, or without files, says which", async () => {
    const { "lm_head.weight": _, ...tensors } = tinyTensors();
    expect((await problem(write(tinyConfig, tensors))).message).toContain("lm_head.weight");
    expect((await problem(Promise.resolve(join(root, "nowhere")))).code).toBe("CHECKPOINT_NOT_FOUND");
    const directory = await write(tinyConfig, tinyTensors());
    rmSync(join(directory, "model.safetensors"));
    expect((await problem(Promise.resolve(directory))).message).toContain("model.safetensors does not exist");
  });

  test("whose index points to a shard that lacks the tensor says so", async () => {
    const directory = await write(tinyConfig, tinyTensors(), true);
    const index = join(directory, "model.safetensors.index.json");
    const { weight_map } = await Bun.file(index).json();
    await Bun.write(index, JSON.stringify({ weight_map: { ...weight_map, ghost: Object.values(weight_map)[0] } }));
    expect((await problem(Promise.resolve(directory))).message).toContain("ghost");
  });

  test("whose index leads out of the directory is refused", async () => {
    const directory = await write(tinyConfig, tinyTensors(), true);
    await Bun.write(join(directory, "model.safetensors.index.json"), JSON.stringify({ weight_map: { x: "../x" } }));
    expect((await problem(Promise.resolve(directory))).code).toBe("CONFIG_INVALID");
  });
});

describe("a corrupt safetensors file", () => {
  const good = writeSafetensors(tinyTensors());
  const withHeader = (header: string) => {
    const bytes = new Uint8Array(8 + header.length);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
    bytes.set(new TextEncoder().encode(header), 8);
    return bytes;
  };
  for (const [name, bytes] of [
    ["is too short for a header", good.slice(0, 5)],
    ["ends inside its header", good.slice(0, 100)],
    ["ends inside its tensors", good.slice(0, good.length - 1)],
    ["has a huge header length", Uint8Array.from({ length: 64 }, () => 255)],
    ["has a header that is no JSON", withHeader("{nonsense")],
    ["has a list for a header", withHeader("[1]")],
    ["has offsets that do not fit the shape", withHeader('{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}')],
    ["has negative offsets", withHeader('{"x":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}')],
  ] as const) {
    test(`that ${name} is refused`, async () => {
      const directory = await write(tinyConfig, {});
      await Bun.write(join(directory, "model.safetensors"), bytes);
      expect((await problem(Promise.resolve(directory))).code).toBe("SAFETENSORS_INVALID");
    });
  }

  test("with a tensor of another type names the tensor and the type", async () => {
    const directory = await write(tinyConfig, {});
    await Bun.write(
      join(directory, "model.safetensors"),
      withHeader('{"x":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}}'),
    );
    const found = await problem(Promise.resolve(directory));
    expect(found.code).toBe("UNSUPPORTED");
    expect(found.message).toContain("tensor x is I8");
  });
});
