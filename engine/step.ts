/** One sequence's share of a step: tokens that follow what its pages already hold. */
export interface TokenSpan {
  /** At least one token id. */
  readonly tokens: Int32Array;
  /** Position of the first of them; positions before it are in the cache. */
  readonly start: number;
  /** Pages of positions 0 to start + tokens.length - 1, and maybe more. */
  readonly pages: Int32Array;
  /** Logits are wanted for the tokens from this index of `tokens` on; tokens.length for none. */
  readonly logitsFrom: number;
}

/**
 * The arithmetic: computes a batch of spans over the paged cache. The cache's buffers are written in place, so that a
 * span's pages hold its keys and values when the promise settles. Steps never overlap.
 */
export interface ModelStep {
  readonly vocabularySize: number;
  /**
   * @returns logits [rows][vocabularySize], a row for each wanted position in batch order. Valid until the next call.
   */
  forward(batch: readonly TokenSpan[]): Promise<Float32Array>;
}
