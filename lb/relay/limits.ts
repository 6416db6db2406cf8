/** Deadlines of a request, in ms. There is none for a stream as a whole. */
export interface TimeLimits {
  /** Until prefill has answered, for the shortest prompt. */
  readonly prefill: number;
  /** Until prefill has answered, once decode is done. */
  readonly prefillAfterDecode: number;
  /** Added for every prompt token. */
  readonly prefillPerToken: number;
  /** From prefill's answer to the first event of a stream. */
  readonly firstOutput: number;
  /** Between two reads of a stream. */
  readonly idle: number;
  /** Until the answer of a request that does not stream. */
  readonly request: number;
}
