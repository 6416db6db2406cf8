/** Seeded uniform numbers in [-1, 1), so that a failure repeats. Marsaglia's xorshift32. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x8000_0000 - 1;
  };
}

export function randomFloats(random: () => number, length: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, random);
}
