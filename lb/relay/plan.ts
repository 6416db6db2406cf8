import type { Outgoing } from "../upstream/index.ts";
import type { Worker } from "../workers/index.ts";
import type { Attempt } from "./attempt.ts";
import type { ClientStream } from "./client-stream.ts";
import type { Answer, Failure } from "./failure.ts";

/** Everything that one pair of requests is made of. */
export interface AttemptPlan {
  readonly path: string;
  readonly prefill: Worker;
  readonly decode: Worker;
  /** Ours, on both legs: what `/abort_request` is called with. */
  readonly rid: string;
  /** What the legs are sent: one and the same where nothing differs. */
  readonly prefillMessage: Outgoing;
  readonly decodeMessage: Outgoing;
  /** The client sent no key of its own: workers are shown theirs. */
  readonly ownKeys: boolean;
  /** Open new connections: an idle one has just failed. */
  readonly fresh: boolean;
  readonly stream: boolean;
  readonly tokens: number;
  /** Changes decode's bytes (a whole answer, or whole events), given prefill's answer once it is known to be needed. */
  readonly rewrite: ((bytes: Buffer, events: boolean, prefill: Answer | undefined) => Buffer) | undefined;
  /** `rewrite` needs prefill's answer: nothing is passed on before it. */
  readonly awaitPrefill: boolean;
  /** The client's own name or names for the request. */
  readonly clientRid: string | readonly string[] | undefined;
}

export type Outcome =
  | { readonly kind: "answer"; readonly answer: Answer }
  | {
      readonly kind: "stream";
      readonly head: Answer;
      readonly events: ClientStream;
      readonly closed: Promise<unknown>;
    }
  | { readonly kind: "failure"; readonly failure: Failure };

/** Who waits for an outcome; told once. */
export interface OutcomeOwner {
  onOutcome(outcome: Outcome): void;
}

/** Told of what happens in an attempt; must not throw. */
export interface AttemptObserver {
  /** Something threw that should not have. */
  onError(error: unknown): void;
  /** A leg did well, or failed by its own fault. */
  onVerdict(attempt: Attempt, worker: Worker, ok: boolean, reason: string): void;
  onPrefillAnswer(attempt: Attempt): void;
  onFirstOutput(attempt: Attempt): void;
  /** `chunks` events came `gap` ms after the ones before. */
  onOutput(attempt: Attempt, gap: number, chunks: number): void;
  /** Both legs are over. */
  onClosed(attempt: Attempt): void;
}
