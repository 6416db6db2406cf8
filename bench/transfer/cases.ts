/** Blocks of one size at places of both pools. Offsets and sizes in bytes. */
export interface Case {
  readonly name: string;
  readonly block: number;
  readonly from: Float64Array;
  readonly to: Float64Array;
}

export const POOL_BYTES = 512 * 1024 * 1024;
/** Pages sent one at a time. */
export const SINGLE_PAGES = 2_000;

const KiB = 1024;

/** 256 MiB in one piece, and pages scattered at random over distinct slots of both pools. */
export function makeCases(): Case[] {
  return [
    {
      name: "256 MiB",
      block: 256 * KiB * KiB,
      from: Float64Array.of(64 * KiB * KiB),
      to: Float64Array.of(128 * KiB * KiB),
    },
    scattered("64 KiB", 64 * KiB, 4_096),
    scattered("16 KiB", 16 * KiB, 16_384),
    scattered("4 KiB", 4 * KiB, 16_384),
  ];
}

export function bytesOf(one: Case): number {
  return one.block * one.from.length;
}

/** The file that limits.c reads: block size and count, then the offsets, 64-bit little-endian. */
export function encodeCase({ block, from, to }: Case): Uint8Array {
  const words = new BigUint64Array(2 + 2 * from.length);
  words[0] = BigInt(block);
  words[1] = BigInt(from.length);
  for (let i = 0; i < from.length; i++) {
    words[2 + i] = BigInt(from[i]!);
    words[2 + from.length + i] = BigInt(to[i]!);
  }
  return new Uint8Array(words.buffer);
}

function scattered(name: string, block: number, count: number): Case {
  const random = mulberry32(block);
  return { name, block, from: slots(block, count, random), to: slots(block, count, random) };
}

function slots(block: number, count: number, random: () => number): Float64Array {
  const all = Float64Array.from({ length: POOL_BYTES / block }, (_, slot) => slot * block);
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all.slice(0, count);
}

/** Tommy Ettinger's 32-bit generator: the same layouts in every run. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
