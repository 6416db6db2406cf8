import type { ParsedRequest, RoomIds, RequestIds } from "../request/index.ts";
import { bootstrapMembers, legBodies, sampleEdits } from "../request/index.ts";
import type { Policy } from "../policy/index.ts";
import type { Fleet, PairQuarantine, Worker } from "../workers/index.ts";
import { Attempt } from "./attempt.ts";
import type { Failure } from "./failure.ts";
import { keyField } from "./forwarded.ts";
import type { TimeLimits } from "./limits.ts";
import type { AttemptObserver, AttemptPlan, Outcome } from "./plan.ts";
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
  readonly headers: Headers;
  /** The endpoint's path, with the client's query. */
  readonly path: string;
  /** Header lines for both legs. */
  readonly fields: string;
  readonly authorization: string | null;
  /** Which of several samples this is. */
  readonly sample: number;
}

/** One sample of a client's request: attempts on one pair after another until one gives an answer. */
export class Job {
  readonly #context: JobContext;
  readonly #input: JobInput;
  readonly #tried = new Set<Worker>();
  #attempt: Attempt | undefined;
  #cancelled: string | undefined;
  #retries = 0;

  constructor(context: JobContext, input: JobInput) {
    this.#context = context;
    this.#input = input;
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

  async run(): Promise<Outcome> {
    const { quarantine } = this.#context;
    let fresh = false;
    for (;;) {
      const outcome = await this.#once(fresh);
      if (outcome.kind !== "failure") {
        if (this.#attempt !== undefined) quarantine.succeeded(this.#attempt.plan);
        return outcome;
      }
      const { failure } = outcome;
      if (failure.blame === "pair" && this.#attempt !== undefined)
        quarantine.failed(this.#attempt.plan, performance.now());
      if (this.#cancelled !== undefined) return outcome;
      if (!this.#mayRetry(failure)) return outcome;
      this.#retries++;
      // A connection that the worker had just closed says nothing: no waiting, and the next one is new.
      fresh = failure.blame === "balancer";
      if (!fresh) await this.#backOff();
    }
  }

  #mayRetry(failure: Failure): boolean {
    if (failure.retry === undefined || this.#retries >= this.#context.retry.max) return false;
    if (failure.blame === "balancer") return true;
    const { plan } = this.#attempt!;
    const suspect = failure.blame === "decode" ? plan.decode : plan.prefill;
    this.#tried.add(suspect);
    if (failure.retry === "any") return this.#candidates(suspect.role).length > 0;
    return this.#candidates(suspect.role).some((worker) => !this.#tried.has(worker));
  }

  #backOff(): Promise<void> {
    const { backoff, maxBackoff } = this.#context.retry;
    return Bun.sleep(Math.min(maxBackoff, backoff * 2 ** (this.#retries - 1)));
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
    if (partner !== undefined) workers = this.#context.quarantine.partners(partner, workers, performance.now());
    if (this.#tried.size > 0) {
      const untried = workers.filter((worker) => !this.#tried.has(worker));
      if (untried.length > 0) workers = untried;
    }
    return policy.choose(workers, this.#input);
  }

  #once(fresh: boolean): Promise<Outcome> {
    const { prefillPolicy, decodePolicy } = this.#context;
    const prefill = this.#choose("prefill", prefillPolicy);
    const decode = prefill === undefined ? undefined : this.#choose("decode", decodePolicy, prefill);
    if (prefill === undefined || decode === undefined) {
      const role = prefill === undefined ? "prefill" : "decode";
      const message = `no ${role} worker is available`;
      const failure: Failure = { blame: "balancer", code: `no_${role}_workers_available`, status: 503, message };
      return Promise.resolve({ kind: "failure", failure });
    }
    const plan = this.#plan(prefill, decode, fresh);
    const { live, limits, observer } = this.#context;
    return new Promise((resolve) => {
      const attempt = new Attempt(plan, limits, observer, resolve);
      this.#attempt = attempt;
      live.add(attempt);
      attempt.start();
    });
  }

  #plan(prefill: Worker, decode: Worker, fresh: boolean): AttemptPlan {
    const { request, path, fields, authorization, sample } = this.#input;
    const { rooms, ids } = this.#context;
    const rid = ids.next();
    const members = bootstrapMembers(request, prefill.bootstrap, rooms, rid);
    const bodies = legBodies(request, sampleEdits(request, sample), members);
    return {
      path,
      prefill,
      decode,
      rid,
      prefillFields: fields + keyField(authorization, prefill.apiKey),
      decodeFields: fields + keyField(authorization, decode.apiKey),
      prefillBody: bodies.prefill,
      decodeBody: bodies.decode,
      fresh,
      stream: request.stream,
      tokens: request.tokens,
      rewrite: rewriterFor(request, rid),
      awaitPrefill: request.merge,
      clientRid: request.rid,
    };
  }
}
