import { parseRequest, RequestError, type Endpoint, type ParsedRequest } from "../request/index.ts";
import type { Admission, Shed } from "../workers/index.ts";
import type { Attempt } from "./attempt.ts";
import { forwardedFields } from "./forwarded.ts";
import { Job, type JobContext } from "./job.ts";
import type { Outcome } from "./plan.ts";
import { answerResponse, errorResponse, failureResponse, ownFields, passedFields } from "./response.ts";
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

/** What may be asked to stop: one job, or several samples. */
interface Cancellable {
  readonly attempt: Attempt | undefined;
  readonly retries: number;
  run(): Promise<Outcome>;
  cancel(message: string): void;
}

/** A request that has got no response yet; its client may leave before it does. */
interface Waiting {
  readonly request: Request;
  readonly job: Cancellable;
  readonly since: number;
  watched: boolean;
}

const COPY_BELOW = 2048;
/** ms after which a waiting request's client is watched; a shorter one is over before it could matter. */
const WATCH_AFTER = 20;

/** Gives a client's request to a pair of workers and the client their answer. */
export class Relay {
  readonly #context: JobContext;
  readonly #admission: Admission;
  readonly #options: RelayOptions;
  readonly #observer: RelayObserver;
  readonly #waiting = new Set<Waiting>();

  constructor(context: JobContext, admission: Admission, options: RelayOptions, observer: RelayObserver) {
    this.#context = context;
    this.#admission = admission;
    this.#options = options;
    this.#observer = observer;
  }

  /** `search` is the client's query with its question mark, or empty. */
  async handle(request: Request, endpoint: Endpoint, search: string): Promise<Response> {
    const arrivedAt = performance.now();
    const id = this.#requestId(request.headers);
    this.#observer.onArrival(endpoint);
    let parsed: ParsedRequest;
    try {
      parsed = parseRequest(endpoint, await this.#body(request));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      const { status, code, message } = error;
      this.#observer.onResponse(endpoint, {
        ...NOTHING,
        id,
        status,
        code,
        message,
        duration: performance.now() - arrivedAt,
      });
      return errorResponse(status, code, message, { "x-request-id": id });
    }
    const entry = this.#admission.enter(arrivedAt, () => request.signal);
    const shed = entry === undefined ? undefined : await entry;
    if (shed !== undefined) return this.#turnAway(endpoint, shed, id, arrivedAt);
    const enteredAt = entry === undefined ? arrivedAt : performance.now();
    const job = this.#job(parsed, request.headers, endpoint.path + search, id);
    const waiting: Waiting = { request, job, since: enteredAt, watched: false };
    this.#waiting.add(waiting);
    const running = job.run();
    if (entry !== undefined) this.#admission.begun();
    const outcome = await running;
    this.#waiting.delete(waiting);
    const now = performance.now();
    if (outcome.kind === "stream") void outcome.closed.then(() => this.#admission.leave(performance.now() - enteredAt));
    else this.#admission.leave(now - enteredAt);
    const failure = outcome.kind === "failure" ? outcome.failure : undefined;
    this.#observer.onResponse(endpoint, {
      id,
      status:
        outcome.kind === "failure"
          ? outcome.failure.status
          : outcome.kind === "answer"
            ? outcome.answer.status
            : outcome.head.status,
      code: failure?.code ?? "",
      message: failure?.message ?? "",
      queued: enteredAt - arrivedAt,
      duration: now - arrivedAt,
      retries: job.retries,
      tokens: parsed.tokens,
      attempt: job.attempt,
    });
    return respond(outcome, job.attempt, id, arrivedAt);
  }

  /** Watches clients that wait and enforces deadlines; called a few times a second. */
  sweep(now: number): void {
    for (const waiting of this.#waiting) {
      if (waiting.watched || now - waiting.since < WATCH_AFTER) continue;
      waiting.watched = true;
      const { signal } = waiting.request;
      const leave = (): void => waiting.job.cancel("the client closed its connection");
      if (signal.aborted) leave();
      else signal.addEventListener("abort", leave, { once: true });
    }
    for (const attempt of this.#context.live) attempt.sweep(now);
    this.#admission.sweep(now);
  }

  #turnAway(endpoint: Endpoint, shed: Shed, id: string, arrivedAt: number): Response {
    const status = shed === "left" ? 499 : 429;
    const message = shed === "queue_full" ? "too many requests wait already" : "waited too long for a place";
    const queued = performance.now() - arrivedAt;
    this.#observer.onResponse(endpoint, { ...NOTHING, id, status, code: shed, message, queued, duration: queued });
    return errorResponse(status, shed, message, {
      "x-request-id": id,
      "retry-after": String(this.#admission.retryAfter()),
    });
  }

  #job(request: ParsedRequest, headers: Headers, path: string, id: string): Cancellable {
    const fields = forwardedFields(headers, id);
    const authorization = this.#options.ownKeys ? null : headers.get("authorization");
    const input = { request, headers, path, fields, authorization, sample: 0 };
    return request.samples === 1 ? new Job(this.#context, input) : new Samples(this.#context, input);
  }

  async #body(request: Request): Promise<Buffer> {
    const { maxBody } = this.#options;
    const bytes = await request.bytes();
    // A copy into the buffer pool is cheaper than a view of something small.
    const body =
      bytes.length < COPY_BELOW ? Buffer.from(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (body.length > maxBody)
      throw new RequestError(413, "body_too_large", `The body is larger than ${maxBody} bytes`);
    return body;
  }

  #requestId(headers: Headers): string {
    for (const name of this.#options.requestIdHeaders) {
      const value = headers.get(name);
      if (value !== null && value !== "") return value;
    }
    return `req-${this.#context.ids.next()}`;
  }
}

const NOTHING = {
  id: "",
  status: 0,
  code: "",
  message: "",
  queued: 0,
  duration: 0,
  retries: 0,
  tokens: 0,
  attempt: undefined,
};

function respond(outcome: Outcome, attempt: Attempt | undefined, id: string, arrivedAt: number): Response {
  if (outcome.kind === "failure") {
    const own: Record<string, string> = { "x-request-id": id };
    if (attempt !== undefined) ownFields(own, id, attempt, arrivedAt);
    return failureResponse(outcome.failure, own);
  }
  const answer = outcome.kind === "answer" ? outcome.answer : outcome.head;
  const headers = passedFields(answer.fields);
  if (attempt !== undefined) ownFields(headers, id, attempt, arrivedAt);
  if (outcome.kind === "answer") return answerResponse(answer, headers);
  return new Response(outcome.body, { status: answer.status, headers });
}
