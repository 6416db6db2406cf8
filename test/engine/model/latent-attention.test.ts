import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Checkpoint } from "../../../engine/checkpoint/index.ts";
import { heapMemory, KvPool } from "../../../engine/kvcache/index.ts";
import { loadModel } from "../../../engine/model/index.ts";
import { createRandom } from "../random.ts";
import { type Tensors, tinyConfig, tinyTensors, writeCheckpoint } from "../tiny-model.ts";

const root = mkdtempSync(join(tmpdir(), "kvwire-latent-"));
afterAll(() => rmSync(root, { recursive: true }));

const HIDDEN = 8;
const config = {
  ...tinyConfig,
  architectures: ["DeepseekV3ForCausalLM"],
  first_k_dense_replace: 1,
  kv_lora_rank: 6,
  qk_nope_head_dim: 4,
  qk_rope_head_dim: 2,
  v_head_dim: 3,
};

function tensors(query: "direct" | "low-rank"): Tensors {
  const random = createRandom(8);
  const base = tinyTensors();
  const layer = "model.layers.0";
  const put = (name: string, shape: number[], value: (i: number) => number = random) => {
    const length = shape.reduce((a, b) => a * b);
    base[`${layer}.${name}.weight`] = { type: "F32", shape, values: Array.from({ length }, (_, i) => value(i)) };
  };
  put("input_layernorm", [HIDDEN], () => 1);
  put("self_attn.q_proj", [2 * 6, HIDDEN]);
  put("self_attn.kv_a_proj_with_mqa", [6 + 2, HIDDEN]);
  put("self_attn.kv_a_layernorm", [6]);
  put("self_attn.kv_b_proj", [2 * (4 + 3), 6]);
  put("self_attn.o_proj", [HIDDEN, 2 * 3]);
  if (query === "low-rank") {
    base[`${layer}.self_attn.q_b_proj.weight`] = base[`${layer}.self_attn.q_proj.weight`]!;
    delete base[`${layer}.self_attn.q_proj.weight`];
    put("self_attn.q_a_proj", [HIDDEN, HIDDEN], (i) => (i % (HIDDEN + 1) === 0 ? 1 : 0));
    put("self_attn.q_a_layernorm", [HIDDEN], () => 1);
  }
  return base;
}

async function logits(name: string, extra: Record<string, unknown>, from: Tensors): Promise<Float32Array> {
  const directory = await writeCheckpoint(join(root, name), { ...config, ...extra }, from);
  const model = await loadModel(await Checkpoint.open(directory));
  const pool = new KvPool({ layout: model.layout, pageSize: 2, pages: 4, memory: heapMemory });
  const pages = pool.allocator.allocate(3);
  return model.createStep(pool).forward([{ tokens: Int32Array.of(3, 14, 15, 9, 2), start: 0, pages, logitsFrom: 0 }]);
}

test("a query through a low rank that loses nothing equals the direct one", async () => {
  // A normalised vector is not changed by being normalised again: identity down, norm of ones, the same matrix up.
  const direct = await logits("direct", {}, tensors("direct"));
  const lowRank = await logits("low-rank", { q_lora_rank: HIDDEN }, tensors("low-rank"));
  lowRank.forEach((value, i) => expect(Math.abs(value - direct[i]!)).toBeLessThan(1e-3));
  expect(new Set(direct).size).toBeGreaterThan(40);
});

test("whether rotary pairs are neighbours or halves makes a difference only with more than one pair", async () => {
  const neighbours = await logits("interleaved", { rope_interleave: true }, tensors("direct"));
  expect(await logits("halves", { rope_interleave: false }, tensors("direct"))).toEqual(neighbours);
});

test("the cache holds one latent and one rotary key per token", async () => {
  const directory = await writeCheckpoint(join(root, "layout"), config, tensors("direct"));
  const { layout } = await loadModel(await Checkpoint.open(directory));
  expect(layout).toEqual({ layers: 1, heads: 1, buffers: [{ kind: "latent", tokenSize: 8 }] });
});
