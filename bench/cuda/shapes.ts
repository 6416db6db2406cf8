/** The pools that are measured. @module */

export interface PoolShape {
  readonly name: string;
  readonly attention: "mha" | "mla";
  /** Buffers: a K and a V a layer, or one latent a layer. */
  readonly buffers: number;
  readonly kvHeads: number;
  readonly pageSize: number;
  /** Bytes of one page in one buffer. */
  readonly pageBytes: number;
  /** Least part of the peer copy's speed that a fully fragmented room should have. */
  readonly target: number;
}

const bf16 = 2;
const llama = (pageSize: number, target: number): PoolShape => ({
  name: `Llama-3.1-8B, ${pageSize} tokens a page`,
  attention: "mha",
  buffers: 64,
  kvHeads: 8,
  pageSize,
  pageBytes: pageSize * 8 * 128 * bf16,
  target,
});

export const shapes: readonly PoolShape[] = [
  llama(16, 0.95),
  llama(2, 0.85),
  {
    name: "DeepSeek-V3, 16 tokens a page",
    attention: "mla",
    buffers: 61,
    kvHeads: 1,
    pageSize: 16,
    pageBytes: 16 * 576 * bf16,
    target: 0.95,
  },
];

export type Arrangement = "contiguous" | "fragmented";

/**
 * `count` pages of a pool of `2 * count`: the first ones in order, or every second one in a drawn order, so that no two that
 * follow each other are neighbours.
 */
export function pagesOf(arrangement: Arrangement, count: number, seed: number): number[] {
  if (arrangement === "contiguous") return Array.from({ length: count }, (_, page) => page);
  const pages = Array.from({ length: count }, (_, page) => 2 * page);
  let state = seed >>> 0;
  for (let i = count - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const j = Math.floor((state / 0x1_0000_0000) * (i + 1));
    [pages[i], pages[j]] = [pages[j]!, pages[i]!];
  }
  return pages;
}
