import type { RequestError } from "../errors.ts";
import type { GeneratedToken } from "./output.ts";
import type { FinishReason, GenerationRequest } from "./request.ts";
import type { Sequence } from "./sequence.ts";

export type DisaggregationMode = "null" | "prefill" | "decode";

/**
 * What a server's part in the work changes about scheduling. The scheduler asks its role at each turning point of a
 * sequence's life, between two steps, never during one.
 */
export interface Role {
  readonly mode: DisaggregationMode;
  /** Refuses a request that this role cannot serve. @throws {RequestError} 400 */
  check(request: GenerationRequest): void;
  /** Positions that a request needs room for in the cache. */
  positions(request: GenerationRequest): number;
  /** Takes a new sequence in. True when it may be scheduled at once; otherwise the role does so later, from `poll`. */
  accept(sequence: Sequence): boolean;
  /** Looks at what went on outside. True when anything moved. */
  poll(): boolean;
  /** More of the prompt is in the cache: positions below `sequence.computed`. */
  advanced(sequence: Sequence): void;
  /** The first token is there. True when the role takes the sequence over instead of having it decoded further. */
  takes(sequence: Sequence): boolean;
  /** Lets go of a sequence that is aborted; true when the role held it. */
  drop(sequence: Sequence): boolean;
  /** Called once, before anything else: where sequences are handed back. */
  attach?(scheduler: RoleScheduler): void;
  /** Sequences that the role holds. */
  readonly held: Iterable<Sequence>;
}

/** What of a scheduler its role uses. */
export interface RoleScheduler {
  readonly running: number;
  enqueue(sequence: Sequence): void;
  resume(sequence: Sequence): void;
  receive(sequence: Sequence, token: GeneratedToken): void;
  finish(sequence: Sequence, reason: FinishReason): void;
  fail(sequence: Sequence, error: RequestError): void;
  wake(): void;
}

/** Prefill and decode in one server. */
export const wholeRole: Role = {
  mode: "null",
  check: () => {},
  positions: (request) => request.prompt.length + request.sampling.maxNewTokens,
  accept: () => true,
  poll: () => false,
  advanced: () => {},
  takes: () => false,
  drop: () => false,
  held: [],
};
