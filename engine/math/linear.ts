/** Rows of a weight matrix that are stored interleaved: one load of an activation serves this many products. */
const PANEL = 8;

/**
 * A linear layer `y = W x + b`, W being [outputs][inputs] as checkpoints store it, repacked in panels of eight rows:
 * panel p holds `W[8p + lane][i]` at `(p * inputs + i) * 8 + lane`; the last panel is padded with zeros.
 *
 * Sums run over the inputs in order, in double precision, whatever the number of rows in a call: a token's result does
 * not depend on what else is in the batch, to the bit.
 */
export class Linear {
  readonly outputs: number;
  readonly inputs: number;
  readonly #panels: Float32Array;
  readonly #bias: Float32Array | null;

  /** @param weight [outputs][inputs], row-major; not kept. @param bias [outputs]; kept. */
  constructor(weight: Float32Array, outputs: number, inputs: number, bias: Float32Array | null = null) {
    this.outputs = outputs;
    this.inputs = inputs;
    this.#bias = bias;
    this.#panels = new Float32Array(Math.ceil(outputs / PANEL) * PANEL * inputs);
    for (let row = 0; row < outputs; row++) {
      const base = (row >>> 3) * inputs * PANEL + (row & 7);
      for (let i = 0; i < inputs; i++) this.#panels[base + i * PANEL] = weight[row * inputs + i]!;
    }
  }

  /** Copies row `row` of W to `into` at `offset`: an embedding look-up where the matrix is also the output layer. */
  copyRow(row: number, into: Float32Array, offset: number): void {
    const base = (row >>> 3) * this.inputs * PANEL + (row & 7);
    for (let i = 0; i < this.inputs; i++) into[offset + i] = this.#panels[base + i * PANEL]!;
  }

  /**
   * Applies the layer to `count` vectors; vector n starts at `xOffset + n * xStride`, its result at
   * `yOffset + n * yStride`. `x` and `y` must not overlap.
   */
  apply(
    x: Float32Array,
    y: Float32Array,
    count: number,
    xOffset = 0,
    xStride = this.inputs,
    yOffset = 0,
    yStride = this.outputs,
  ): void {
    const { inputs, outputs } = this;
    const panels = this.#panels;
    const whole = outputs & ~(PANEL - 1);
    const pairs = count & ~1;
    // Panels outside, vectors inside: a panel stays in the first cache while every vector passes it.
    for (let row = 0; row < whole; row += 4) {
      const panel = (row & ~7) * inputs + (row & 4);
      for (let n = 0; n < pairs; n += 2) {
        const at = xOffset + n * xStride;
        const to = yOffset + n * yStride + row;
        fourByTwo(panels, panel, x, at, at + xStride, inputs, y, to, to + yStride);
      }
    }
    if (pairs < count) {
      const at = xOffset + pairs * xStride;
      const to = yOffset + pairs * yStride;
      for (let row = 0; row < whole; row += PANEL) eightByOne(panels, row * inputs, x, at, inputs, y, to + row);
    }
    for (let row = whole; row < outputs; row++) {
      const base = whole * inputs + (row & 7);
      for (let n = 0; n < count; n++) {
        y[yOffset + n * yStride + row] = oneByOne(panels, base, x, xOffset + n * xStride, inputs);
      }
    }
    if (this.#bias !== null) addBias(y, this.#bias, count, yOffset, yStride);
  }
}

/** Four rows of a panel times two vectors: eight independent sums, six loads a step. */
function fourByTwo(
  w: Float32Array,
  panel: number,
  x: Float32Array,
  first: number,
  second: number,
  inputs: number,
  y: Float32Array,
  to: number,
  next: number,
): void {
  let a0 = 0;
  let a1 = 0;
  let a2 = 0;
  let a3 = 0;
  let b0 = 0;
  let b1 = 0;
  let b2 = 0;
  let b3 = 0;
  for (let i = 0, p = panel; i < inputs; i++, p += PANEL) {
    const a = x[first + i]!;
    const b = x[second + i]!;
    const w0 = w[p]!;
    const w1 = w[p + 1]!;
    const w2 = w[p + 2]!;
    const w3 = w[p + 3]!;
    a0 += w0 * a;
    a1 += w1 * a;
    a2 += w2 * a;
    a3 += w3 * a;
    b0 += w0 * b;
    b1 += w1 * b;
    b2 += w2 * b;
    b3 += w3 * b;
  }
  y[to] = a0;
  y[to + 1] = a1;
  y[to + 2] = a2;
  y[to + 3] = a3;
  y[next] = b0;
  y[next + 1] = b1;
  y[next + 2] = b2;
  y[next + 3] = b3;
}

/** A whole panel times one vector. */
function eightByOne(
  w: Float32Array,
  panel: number,
  x: Float32Array,
  at: number,
  inputs: number,
  y: Float32Array,
  to: number,
): void {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let s4 = 0;
  let s5 = 0;
  let s6 = 0;
  let s7 = 0;
  for (let i = 0, p = panel; i < inputs; i++, p += PANEL) {
    const v = x[at + i]!;
    s0 += w[p]! * v;
    s1 += w[p + 1]! * v;
    s2 += w[p + 2]! * v;
    s3 += w[p + 3]! * v;
    s4 += w[p + 4]! * v;
    s5 += w[p + 5]! * v;
    s6 += w[p + 6]! * v;
    s7 += w[p + 7]! * v;
  }
  y[to] = s0;
  y[to + 1] = s1;
  y[to + 2] = s2;
  y[to + 3] = s3;
  y[to + 4] = s4;
  y[to + 5] = s5;
  y[to + 6] = s6;
  y[to + 7] = s7;
}

/** One row of the padded panel times one vector. */
function oneByOne(w: Float32Array, base: number, x: Float32Array, at: number, inputs: number): number {
  let sum = 0;
  for (let i = 0, p = base; i < inputs; i++, p += PANEL) sum += w[p]! * x[at + i]!;
  return sum;
}

function addBias(y: Float32Array, bias: Float32Array, count: number, yOffset: number, yStride: number): void {
  for (let n = 0; n < count; n++) {
    const at = yOffset + n * yStride;
    for (let i = 0; i < bias.length; i++) y[at + i] = y[at + i]! + bias[i]!;
  }
}
