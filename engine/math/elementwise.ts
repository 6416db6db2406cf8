/** `y += x` over the first `length` elements. */
export function add(y: Float32Array, x: Float32Array, length: number): void {
  for (let i = 0; i < length; i++) y[i] = y[i]! + x[i]!;
}

/** The gated activation of Llama's feed-forward layer: `gate = silu(gate) * up`, silu(v) being v / (1 + e^-v). */
export function siluTimes(gate: Float32Array, up: Float32Array, length: number): void {
  for (let i = 0; i < length; i++) {
    const v = gate[i]!;
    gate[i] = (v / (1 + Math.exp(-v))) * up[i]!;
  }
}
