/**
 * A uniform number in [0, 1) that depends on the seed and the token's index alone: whoever continues a generation, in
 * whatever process, draws the same numbers. The mixing is MurmurHash3's 32-bit finaliser (Appleby, public domain).
 */
export function uniform(seed: number, index: number): number {
  const high = Math.floor(seed / 0x1_0000_0000);
  const mixed = mix(mix(mix((seed >>> 0) ^ 0x9e3779b9) ^ (high >>> 0)) ^ Math.imul(index + 1, 0x85ebca6b));
  return (mixed >>> 0) / 0x1_0000_0000;
}

function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
