import type { KvLayout, KvPool } from "../kvcache/index.ts";
import { add, type Linear, type RmsNorm } from "../math/index.ts";
import type { ModelStep, TokenSpan } from "../step.ts";
import type { AttentionLayer, AttentionStack } from "./attention-layer.ts";
import { Batch } from "./batch.ts";
import { FeedForward } from "./feed-forward.ts";
import type { Weights } from "./weights.ts";
import { Workspace } from "./workspace.ts";

interface DecoderLayer {
  readonly attentionNorm: RmsNorm;
  readonly attention: AttentionLayer;
  readonly feedForwardNorm: RmsNorm;
  readonly feedForward: FeedForward;
}

/** A loaded decoder-only transformer: embedding, layers of attention and feed-forward with residuals, output layer. */
export class Decoder {
  readonly layout: KvLayout;
  readonly vocabularySize: number;
  /** Positions that the model knows. */
  readonly contextLength: number;
  readonly hiddenSize: number;
  readonly layers: readonly DecoderLayer[];
  readonly norm: RmsNorm;
  /** [vocabulary][hidden]; its rows are the embeddings. */
  readonly embedding: Linear;
  /** The same object where the checkpoint ties the two. */
  readonly head: Linear;

  private constructor(
    layout: KvLayout,
    contextLength: number,
    layers: readonly DecoderLayer[],
    norm: RmsNorm,
    embedding: Linear,
    head: Linear,
  ) {
    this.layout = layout;
    this.vocabularySize = head.outputs;
    this.contextLength = contextLength;
    this.hiddenSize = head.inputs;
    this.layers = layers;
    this.norm = norm;
    this.embedding = embedding;
    this.head = head;
  }

  static async load(weights: Weights, stack: AttentionStack): Promise<Decoder> {
    const { config } = weights.checkpoint;
    const layers: DecoderLayer[] = [];
    for (const [index, attention] of stack.layers.entries()) {
      const name = `model.layers.${index}`;
      layers.push({
        attentionNorm: await weights.norm(`${name}.input_layernorm`, config.hidden_size),
        attention,
        feedForwardNorm: await weights.norm(`${name}.post_attention_layernorm`, config.hidden_size),
        feedForward: await FeedForward.load(weights, `${name}.mlp`, config.mlp_bias),
      });
    }
    const embedding = await weights.linear("model.embed_tokens", config.vocab_size, config.hidden_size);
    const head = config.tie_word_embeddings
      ? embedding
      : await weights.linear("lm_head", config.vocab_size, config.hidden_size);
    const norm = await weights.norm("model.norm", config.hidden_size);
    return new Decoder(stack.layout, config.max_position_embeddings, layers, norm, embedding, head);
  }

  /** The model's arithmetic over the cache `pool`, which has this model's layout. */
  createStep(pool: KvPool): ModelStep {
    return new DecoderStep(this, pool);
  }
}

/** The step on the processor. */
class DecoderStep implements ModelStep {
  readonly vocabularySize: number;
  readonly #model: Decoder;
  readonly #pool: KvPool;
  readonly #workspace = new Workspace();

  constructor(model: Decoder, pool: KvPool) {
    this.vocabularySize = model.vocabularySize;
    this.#model = model;
    this.#pool = pool;
  }

  async forward(spans: readonly TokenSpan[]): Promise<Float32Array> {
    const { hiddenSize, layers } = this.#model;
    const workspace = this.#workspace;
    const batch = new Batch(spans, this.#pool.pageSize);
    const size = batch.rows * hiddenSize;
    const residual = workspace.floats("residual", size);
    const normed = workspace.floats("normed", size);
    const update = workspace.floats("update", size);
    for (let row = 0; row < batch.rows; row++) {
      this.#model.embedding.copyRow(batch.tokens[row]!, residual, row * hiddenSize);
    }
    for (const layer of layers) {
      layer.attentionNorm.apply(residual, normed, batch.rows);
      layer.attention.apply(normed, update, batch, this.#pool, workspace);
      add(residual, update, size);
      layer.feedForwardNorm.apply(residual, normed, batch.rows);
      layer.feedForward.apply(normed, update, batch.rows, workspace);
      add(residual, update, size);
    }
    return this.#logits(residual, normed, batch.wanted);
  }

  /** Only the wanted rows pass the output layer: it is a quarter of a small model's work. */
  #logits(residual: Float32Array, normed: Float32Array, wanted: Int32Array): Float32Array {
    const { hiddenSize, head, norm } = this.#model;
    for (let i = 0; i < wanted.length; i++) {
      norm.apply(residual, normed, 1, wanted[i]! * hiddenSize, hiddenSize, i * hiddenSize);
    }
    const logits = this.#workspace.floats("logits", wanted.length * head.outputs);
    head.apply(normed, logits, wanted.length);
    return logits.subarray(0, wanted.length * head.outputs);
  }
}
