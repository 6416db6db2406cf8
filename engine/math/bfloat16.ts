const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The bfloat16 nearest to a finite `value`, ties to even. */
export function roundToBfloat16(value: number): number {
  float[0] = value;
  const bits = word[0]!;
  word[0] = (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000;
  return float[0]!;
}
