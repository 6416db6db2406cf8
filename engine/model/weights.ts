import type { Checkpoint } from "../checkpoint/index.ts";
import { Linear, RmsNorm } from "../math/index.ts";
import type { RopePrecisionOption } from "./rope-config.ts";

/** Reads named tensors of a checkpoint as the layers that the kernels work with, and knows what the configuration leaves open. */
export class Weights {
  readonly checkpoint: Checkpoint;
  readonly ropePrecision: RopePrecisionOption;
  readonly #epsilon: number;

  constructor(checkpoint: Checkpoint, ropePrecision: RopePrecisionOption) {
    this.checkpoint = checkpoint;
    this.ropePrecision = ropePrecision;
    this.#epsilon = checkpoint.config.rms_norm_eps;
  }

  /** `NAME.weight` [outputs][inputs] and, where the architecture has one, `NAME.bias` [outputs]. */
  async linear(name: string, outputs: number, inputs: number, bias = false): Promise<Linear> {
    const weight = await this.checkpoint.tensor(`${name}.weight`, [outputs, inputs]);
    return new Linear(weight, outputs, inputs, bias ? await this.checkpoint.tensor(`${name}.bias`, [outputs]) : null);
  }

  async norm(name: string, size: number): Promise<RmsNorm> {
    return new RmsNorm(await this.checkpoint.tensor(`${name}.weight`, [size]), this.#epsilon);
  }
}
