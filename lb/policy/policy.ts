import type { ParsedRequest } from "../request/index.ts";
import type { Worker } from "../workers/index.ts";

/** What a policy may look at. */
export interface Choice {
  readonly request: ParsedRequest;
  /** The client's header fields, by name in lower case. */
  readonly headers: { get(name: string): string | null };
}

/** Picks one of the workers that are available; `workers` is never empty. One instance serves one role. */
export interface Policy {
  readonly name: string;
  choose(workers: readonly Worker[], choice: Choice): Worker;
  /** A worker was removed: forget what is kept for it. */
  forget?(worker: Worker): void;
}
