import { roundToBfloat16 } from "./bfloat16.ts";

/** How positions beyond the trained length are squeezed. */
export type RopeScaling =
  | { readonly type: "default" }
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalLength: number;
    };

/** The type that frequencies are rounded to before use. */
export type RopePrecision = "float32" | "bfloat16";

export interface RopeOptions {
  /** Elements of a vector; even. */
  readonly dimension: number;
  /** Positions 0 to length - 1 are tabulated. */
  readonly length: number;
  readonly base: number;
  readonly scaling: RopeScaling;
  readonly precision: RopePrecision;
  /** Whether a pair is (2j, 2j + 1) rather than (j, j + dimension / 2). */
  readonly interleaved: boolean;
}

/**
 * Rotary position embedding (Su et al. 2021): pair j of a vector turns by `position * frequency[j]`. Angles are float32
 * products, as in the frameworks that models are trained in.
 */
export class Rope {
  readonly dimension: number;
  readonly #interleaved: boolean;
  /** [position][dimension / 2] */
  readonly #cosines: Float32Array;
  readonly #sines: Float32Array;

  constructor(options: RopeOptions) {
    const { dimension, length, base, scaling, precision } = options;
    this.dimension = dimension;
    this.#interleaved = options.interleaved;
    const frequencies = ropeFrequencies(dimension, base, scaling);
    if (precision === "bfloat16") frequencies.forEach((value, j) => (frequencies[j] = roundToBfloat16(value)));
    const half = dimension / 2;
    this.#cosines = new Float32Array(length * half);
    this.#sines = new Float32Array(length * half);
    for (let position = 0; position < length; position++) {
      for (let j = 0; j < half; j++) {
        const angle = Math.fround(position * frequencies[j]!);
        this.#cosines[position * half + j] = Math.cos(angle);
        this.#sines[position * half + j] = Math.sin(angle);
      }
    }
  }

  /** Turns the vector at `offset` of `x` in place. */
  apply(x: Float32Array, offset: number, position: number): void {
    const half = this.dimension / 2;
    const row = position * half;
    const step = this.#interleaved ? 2 : 1;
    const partner = this.#interleaved ? 1 : half;
    for (let j = 0; j < half; j++) {
      const at = offset + j * step;
      const a = x[at]!;
      const b = x[at + partner]!;
      const cosine = this.#cosines[row + j]!;
      const sine = this.#sines[row + j]!;
      x[at] = a * cosine - b * sine;
      x[at + partner] = b * cosine + a * sine;
    }
  }
}

/** Radians a position turns each of the dimension / 2 pairs. */
export function ropeFrequencies(dimension: number, base: number, scaling: RopeScaling): Float32Array {
  const frequencies = new Float32Array(dimension / 2);
  for (let j = 0; j < frequencies.length; j++) frequencies[j] = scale(base ** ((-2 * j) / dimension), scaling);
  return frequencies;
}

/** Llama 3.1 keeps high frequencies, divides low ones by the factor and blends in between. */
function scale(frequency: number, scaling: RopeScaling): number {
  if (scaling.type === "default") return frequency;
  if (scaling.type === "linear") return frequency / scaling.factor;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalLength } = scaling;
  const turns = (originalLength * frequency) / (2 * Math.PI);
  if (turns < low) return frequency / factor;
  if (turns > high) return frequency;
  const blend = (turns - low) / (high - low);
  return (1 - blend) * (frequency / factor) + blend * frequency;
}
