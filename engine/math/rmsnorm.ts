/** Root-mean-square normalisation (Zhang and Sennrich 2019): `y = x / sqrt(mean(x²) + epsilon) * weight`. */
export class RmsNorm {
  readonly size: number;
  readonly #weight: Float32Array;
  readonly #epsilon: number;

  /** @param weight one scale per element; kept. */
  constructor(weight: Float32Array, epsilon: number) {
    this.size = weight.length;
    this.#weight = weight;
    this.#epsilon = epsilon;
  }

  /** Normalises `count` vectors, n-th at `xOffset + n * xStride`, to `yOffset + n * yStride`. `y` may be `x`. */
  apply(
    x: Float32Array,
    y: Float32Array,
    count: number,
    xOffset = 0,
    xStride = this.size,
    yOffset = 0,
    yStride = this.size,
  ): void {
    const weight = this.#weight;
    const size = this.size;
    for (let n = 0; n < count; n++) {
      const from = xOffset + n * xStride;
      const to = yOffset + n * yStride;
      let squares = 0;
      for (let i = 0; i < size; i++) {
        const v = x[from + i]!;
        squares += v * v;
      }
      const scale = 1 / Math.sqrt(squares / size + this.#epsilon);
      for (let i = 0; i < size; i++) y[to + i] = x[from + i]! * scale * weight[i]!;
    }
  }
}
