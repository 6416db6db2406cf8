import type { ParsedRequest, RoomIds, RequestIds } from "../request/index.ts";
import { bootstrapMembers, legBodies, sampleEdits } from "../request/index.ts";
import type { Policy } from "../policy/index.ts";
import type { Fleet, PairQuarantine, Worker } from "../workers/index.ts";
import { now, tick } from "../clock.ts";
import { Attempt } from "./attempt.ts";
import { INTERNAL_ERROR, type Failure } from "./failure.ts";
import type { RequestHeaders } from "./forwarded.ts";
import type { TimeLimits } from "./limits.ts";
import type { AttemptObserver, AttemptPlan, Outcome, OutcomeOwner } from "./plan.ts";
import { rewriterFor } from "./rewrite.ts";

export interface RetryOptions {
  /** Attempts after the first. */
  readonly max: number;
  /** ms before the first of them; doubled each time. */
  readonly backoff: number;
  readonly maxBackoff: number;
}

/** What every job shares. */
export interface JobContext {
  readonly fleet: Fleet;
  readonly prefillPolicy: Policy;
  readonly decodePolicy: Policy;
  readonly quarantine: PairQuarantine;
  readonly rooms: RoomIds;
  readonly ids: RequestIds;
  readonly limits: TimeLimits;
  readonly retry: RetryOptions;
  /** Requests that one prefill is given at once; 0: no limit. */
  readonly maxPerPrefill: number;
  readonly live: Set<Attempt>;
  readonly observer: AttemptObserver;
}

export interface JobInput {
  readonly request: ParsedRequest;
  readonly headers: RequestHeaders;
  /** The endpoint's path, with the client's query. */
  readonly path: string;
  /** Header lines for both legs. */
  readonly fields: string;
  /** Without a key among them: each worker is shown its own. */
  readonly ownKeys: boolean;
  /** Which of several samples this is. */
  readonly sample: number;
}

/** One sample of a client's request: attempts on one pair after another until one gives an answer. */
export class Job implements OutcomeOwner {
  readonly #context: JobContext;
  readonly #input: JobInput;
  readonly #owner: OutcomeOwner;
  #tried: Set<Worker> | undefined;
  #attempt: Attempt | undefined;
  #cancelled: string | undefined;
  #retries = 0;

  constructor(context: JobContext, input: JobInput, owner: OutcomeOwner) {
    this.#context = context;
    this.#input = input;
    this.#owner = owner;
  }

  /** The attempt that runs, or ran last. */
  get attempt(): Attempt | undefined {
    return this.#attempt;
  }

  get retries(): number {
    return this.#retries;
  }

  cancel(message: string): void {
    this.#cancelled = message;
    this.#attempt?.cancel(message);
  }

  /** Starts the first attempt. */
  run(): void {
    this.#once(false);
  }

  onOutcome(outcome: Outcome): void {
    const { quarantine } = this.#context;
    const { plan } = this.#attempt!;
    if (outcome.kind !== "failure") quarantine.succeeded(plan);
    else {
      const { failure } = outcome;
      if (failure.blame === "pair") quarantine.failed(plan, now());
      if (this.#cancelled === undefined && this.#mayRetry(failure)) return this.#retry(failure);
    }
    this.#owner.onOutcome(outcome);
  }

  #retry(failure: Failure): void {
    this.#retries++;
    // A connection that the worker had just closed says nothing: no waiting, and the next one is new.
    if (failure.blame === "balancer") this.#once(true);
    else {
      const { backoff, maxBackoff } = this.#context.retry;
      setTimeout(() => this.#again(failure), Math.min(maxBackoff, backoff * 2 ** (this.#retries - 1)));
    }
  }

  #again(failure: Failure): void {
    tick();
    // The client may have left while nothing ran.
    if (this.#cancelled === undefined) this.#once(false);
    else this.#owner.onOutcome({ kind: "failure", failure });
  }

  #mayRetry(failure: Failure): boolean {
    if (failure.retry === undefined || this.#retries >= this.#context.retry.max) return false;
    if (failure.blame === "balancer") return true;
    const { plan } = this.#attempt!;
    const suspect = failure.blame === "decode" ? plan.decode : plan.prefill;
    const tried = (this.#tried ??= new Set());
    tried.add(suspect);
    if (failure.retry === "any") return this.#candidates(suspect.role).length > 0;
    return this.#candidates(suspect.role).some((worker) => !tried.has(worker));
  }

  #candidates(role: "prefill" | "decode"): readonly Worker[] {
    return this.#context.fleet.available(role);
  }

  /** Workers not yet tried, or all where none is left. */
  #choose(role: "prefill" | "decode", policy: Policy, partner?: Worker): Worker | undefined {
    let workers = this.#candidates(role);
    if (workers.length === 0) return undefined;
    const limit = this.#context.maxPerPrefill;
    if (role === "prefill" && limit > 0) {
      const free = workers.filter((worker) => worker.requests < limit);
      if (free.length > 0) workers = free;
    }
    if (partner !== undefined) workers = this.#context.quarantine.partners(partner, workers, now());
    const tried = this.#tried;
    if (tried !== undefined) {
      const untried = workers.filter((worker) => !tried.has(worker));
      if (untried.length > 0) workers = untried;
    }
    return policy.choose(workers, this.#input);
  }

  #once(fresh: boolean): void {
    const { live, limits, observer } = this.#context;
    let plan: AttemptPlan | Failure;
    try {
      plan = this.#planPair(fresh);
    } catch (error) {
      // A policy may be anybody's.
      observer.onError(error);
      plan = INTERNAL_ERROR;
    }
    if (!("prefill" in plan)) return this.#owner.onOutcome({ kind: "failure", failure: plan });
    const attempt = new Attempt(plan, limits, observer, this);
    this.#attempt = attempt;
    live.add(attempt);
    attempt.start();
  }

  /** What is to be sent to whom, or why there is nobody. */
  #planPair(fresh: boolean): AttemptPlan | Failure {
    const { prefillPolicy, decodePolicy } = this.#context;
    const prefill = this.#choose("prefill", prefillPolicy);
    const decode = prefill === undefined ? undefined : this.#choose("decode", decodePolicy, prefill);
    if (prefill !== undefined && decode !== undefined) return this.#plan(prefill, decode, fresh);
    const role = prefill === undefined ? "prefill" : "decode";
    const message = `no ${role} worker is available`;
    return { blame: "balancer", code: `no_${role}_workers_available`, status: 503, message };
  }

  #plan(prefill: Worker, decode: Worker, fresh: boolean): AttemptPlan {
    const { request, path, fields, ownKeys, sample } = this.#input;
    const { rooms, ids } = this.#context;
    const rid = ids.next();
    const members = bootstrapMembers(request, prefill.bootstrap, rooms, rid);
    const bodies = legBodies(request, sampleEdits(request, sample), members);
    const decodeMessage = { fields, body: bodies.decode };
    return {
      path,
      prefill,
      decode,
      rid,
      prefillMessage: bodies.prefill === bodies.decode ? decodeMessage : { fields, body: bodies.prefill },
      decodeMessage,
      ownKeys,
      fresh,
      stream: request.stream,
      tokens: request.tokens,
      rewrite: rewriterFor(request, rid),
      awaitPrefill: request.merge,
      clientRid: request.rid,
    };
  }
}
