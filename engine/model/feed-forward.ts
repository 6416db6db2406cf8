import { type Linear, siluTimes } from "../math/index.ts";
import type { Weights } from "./weights.ts";
import type { Workspace } from "./workspace.ts";

/** Llama's gated feed-forward layer: `down(silu(gate(x)) * up(x))`. */
export class FeedForward {
  readonly #gate: Linear;
  readonly #up: Linear;
  readonly #down: Linear;

  private constructor(gate: Linear, up: Linear, down: Linear) {
    this.#gate = gate;
    this.#up = up;
    this.#down = down;
  }

  static async load(weights: Weights, name: string, bias: boolean): Promise<FeedForward> {
    const { hidden_size: hidden, intermediate_size: inner } = weights.checkpoint.config;
    return new FeedForward(
      await weights.linear(`${name}.gate_proj`, inner, hidden, bias),
      await weights.linear(`${name}.up_proj`, inner, hidden, bias),
      await weights.linear(`${name}.down_proj`, hidden, inner, bias),
    );
  }

  /** `y = layer(x)` for `rows` vectors of the hidden size. */
  apply(x: Float32Array, y: Float32Array, rows: number, workspace: Workspace): void {
    const inner = this.#gate.outputs;
    const gate = workspace.floats("gate", rows * inner);
    const up = workspace.floats("up", rows * inner);
    this.#gate.apply(x, gate, rows);
    this.#up.apply(x, up, rows);
    siluTimes(gate, up, rows * inner);
    this.#down.apply(gate, y, rows);
  }
}
