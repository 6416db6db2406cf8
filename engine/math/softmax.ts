/** Turns `length` scores at `offset` into probabilities, in place. */
export function softmax(x: Float32Array | Float64Array, offset: number, length: number): void {
  let max = -Infinity;
  for (let i = offset; i < offset + length; i++) if (x[i]! > max) max = x[i]!;
  let sum = 0;
  for (let i = offset; i < offset + length; i++) {
    const v = Math.exp(x[i]! - max);
    x[i] = v;
    sum += v;
  }
  const scale = 1 / sum;
  for (let i = offset; i < offset + length; i++) x[i] = x[i]! * scale;
}

/** `log(sum(e^x))` of `length` values at `offset`, without overflow. */
export function logSumExp(x: Float32Array, offset: number, length: number): number {
  let max = -Infinity;
  for (let i = offset; i < offset + length; i++) if (x[i]! > max) max = x[i]!;
  let sum = 0;
  for (let i = offset; i < offset + length; i++) sum += Math.exp(x[i]! - max);
  return max + Math.log(sum);
}
