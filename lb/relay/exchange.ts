import { now } from "../clock.ts";
import { parseRequest, RequestError, type Endpoint, type ParsedRequest } from "../request/index.ts";
import type { Admission, Shed, Waiter } from "../workers/index.ts";
import type { Attempt } from "./attempt.ts";
import type { Failure } from "./failure.ts";
import { forwardedFields, type RequestHeaders } from "./forwarded.ts";
import { Job, type JobContext } from "./job.ts";
import type { Outcome, OutcomeOwner } from "./plan.ts";
import { Samples } from "./samples.ts";

export interface RelayOptions {
  /** Bytes of a client's body. */
  readonly maxBody: number;
  /** Headers in which a client may give its request id, the first found counts. */
  readonly requestIdHeaders: readonly string[];
  /** The client's `Authorization` was for us: workers get their own keys. */
  readonly ownKeys: boolean;
}

/** Told of each client's request; must not throw. */
export interface RelayObserver {
  onArrival(endpoint: Endpoint): void;
  onResponse(endpoint: Endpoint, summary: RequestSummary): void;
}

/** What became of a client's request, up to its response's head. */
export interface RequestSummary {
  readonly id: string;
  readonly status: number;
  /** Code of an error, empty for none. */
  readonly code: string;
  readonly message: string;
  /** ms waited for a place. */
  readonly queued: number;
  /** ms from arrival to the response's head. */
  readonly duration: number;
  readonly retries: number;
  readonly tokens: number;
  readonly attempt: Attempt | undefined;
}

/** What every exchange shares. */
export interface ExchangeContext extends JobContext {
  readonly admission: Admission;
  readonly options: RelayOptions;
  readonly requests: RelayObserver;
}

/** Who asked: a connection of ours, or a handler of the Fetch API. */
export interface Client {
  readonly headers: RequestHeaders;
  /** Sends the response; called once. */
  respond(outcome: Outcome, exchange: Exchange): void;
}

/** One job, or several samples. */
interface Work {
  readonly attempt: Attempt | undefined;
  readonly retries: number;
  run(): void;
  cancel(message: string): void;
}

/** One client's request, from its arrival to the head of its response. */
export class Exchange implements OutcomeOwner, Waiter {
  readonly #context: ExchangeContext;
  readonly #client: Client;
  readonly #endpoint: Endpoint;
  readonly arrivedAt: number;
  /** The request's id: the client's, or one of ours. */
  readonly id: string;
  #enteredAt = 0;
  #tokens = 0;
  #work: Work | undefined;
  #queued = false;
  #responded = false;

  constructor(context: ExchangeContext, client: Client, endpoint: Endpoint, arrivedAt: number) {
    this.#context = context;
    this.#client = client;
    this.#endpoint = endpoint;
    this.arrivedAt = arrivedAt;
    this.id = requestId(context, client.headers);
    context.requests.onArrival(endpoint);
  }

  get attempt(): Attempt | undefined {
    return this.#work?.attempt;
  }

  /** Takes the body [start, end) of some bytes; `search` is the client's query with its question mark, or empty. */
  start(search: string, bytes: Buffer, start: number, end: number): void {
    const { options, admission } = this.#context;
    let request: ParsedRequest;
    try {
      if (end - start > options.maxBody) {
        throw new RequestError(413, "body_too_large", `The body is larger than ${options.maxBody} bytes`);
      }
      request = parseRequest(this.#endpoint, bytes, start, end);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      const { status, code, message } = error;
      return this.#respond({ kind: "failure", failure: { blame: "request", status, code, message } });
    }
    this.#tokens = request.tokens;
    const { headers } = this.#client;
    const authorization = options.ownKeys ? null : headers.get("authorization");
    const input = {
      request,
      headers,
      path: this.#endpoint.path + search,
      fields: forwardedFields(headers, this.id, authorization),
      ownKeys: authorization === null,
      sample: 0,
    };
    const one = request.samples === 1;
    this.#work = one ? new Job(this.#context, input, this) : new Samples(this.#context, input, this);
    if (admission.enter(this.arrivedAt, this)) this.#enter(this.arrivedAt);
    else this.#queued = !this.#responded;
  }

  /** The client has left before it got a response. */
  gone(): void {
    if (this.#responded) return;
    if (this.#queued) this.#context.admission.withdraw(this);
    else this.#work?.cancel("the client closed its connection");
  }

  admitted(): void {
    this.#queued = false;
    this.#enter(now());
  }

  turnedAway(why: Shed): void {
    this.#queued = false;
    const status = why === "left" ? 499 : 429;
    const message = why === "queue_full" ? "too many requests wait already" : "waited too long for a place";
    const retryAfter = this.#context.admission.retryAfter();
    this.#respond({ kind: "failure", failure: { blame: "balancer", status, code: why, message, retryAfter } });
  }

  onOutcome(outcome: Outcome): void {
    const { admission } = this.#context;
    const entered = this.#enteredAt;
    if (outcome.kind === "stream") void outcome.closed.then(() => admission.leave(now() - entered));
    else admission.leave(now() - entered);
    this.#respond(outcome);
  }

  #enter(time: number): void {
    this.#enteredAt = time;
    this.#work!.run();
  }

  #respond(outcome: Outcome): void {
    this.#responded = true;
    const failure: Failure | undefined = outcome.kind === "failure" ? outcome.failure : undefined;
    const time = now();
    this.#context.requests.onResponse(this.#endpoint, {
      id: this.id,
      status: statusOf(outcome),
      code: failure?.code ?? "",
      message: failure?.message ?? "",
      queued: (this.#enteredAt > 0 ? this.#enteredAt : time) - this.arrivedAt,
      duration: time - this.arrivedAt,
      retries: this.#work?.retries ?? 0,
      tokens: this.#enteredAt > 0 ? this.#tokens : 0,
      attempt: this.attempt,
    });
    this.#client.respond(outcome, this);
  }
}

function statusOf(outcome: Outcome): number {
  if (outcome.kind === "failure") return outcome.failure.status;
  return outcome.kind === "answer" ? outcome.answer.status : outcome.head.status;
}

function requestId({ options, ids }: ExchangeContext, headers: RequestHeaders): string {
  for (const name of options.requestIdHeaders) {
    const value = headers.get(name);
    if (value !== null && value !== "") return value;
  }
  return `req-${ids.next()}`;
}
