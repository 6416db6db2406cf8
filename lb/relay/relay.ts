import { parseRequest, RequestError, type Endpoint, type ParsedRequest } from "../request/index.ts";
import type { Attempt, Outcome } from "./attempt.ts";
import { forwardedFields } from "./forwarded.ts";
import { Job, type JobContext } from "./job.ts";
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

/** What may be asked to stop: one job, or several samples. */
interface Cancellable {
  readonly attempt: Attempt | undefined;
  readonly retries: number;
  run(): Promise<Outcome>;
  cancel(message: string): void;
}

/** A request that has got no response yet; its client may leave before it does. */
interface Waiting {
  readonly signal: () => AbortSignal;
  readonly job: Cancellable;
  readonly since: number;
  watched: boolean;
}

/** ms after which a waiting request's client is watched; a shorter one is over before it could matter. */
const WATCH_AFTER = 20;

/** Gives a client's request to a pair of workers and the client their answer. */
export class Relay {
  readonly #context: JobContext;
  readonly #options: RelayOptions;
  readonly #waiting = new Set<Waiting>();

  constructor(context: JobContext, options: RelayOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** `search` is the client's query with its question mark, or empty. */
  async handle(request: Request, endpoint: Endpoint, search: string): Promise<Response> {
    const arrivedAt = performance.now();
    const { headers } = request;
    const id = this.#requestId(headers);
    let parsed: ParsedRequest;
    try {
      parsed = parseRequest(endpoint, await this.#body(request));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      return errorResponse(error.status, error.code, error.message, { "x-request-id": id });
    }
    const job = this.#job(parsed, headers, endpoint.path + search, id);
    const waiting: Waiting = { signal: () => request.signal, job, since: arrivedAt, watched: false };
    this.#waiting.add(waiting);
    const outcome = await job.run();
    this.#waiting.delete(waiting);
    return respond(outcome, job.attempt, id, arrivedAt);
  }

  /** Watches clients that wait and enforces deadlines; called a few times a second. */
  sweep(now: number): void {
    for (const waiting of this.#waiting) {
      if (waiting.watched || now - waiting.since < WATCH_AFTER) continue;
      waiting.watched = true;
      const signal = waiting.signal();
      const leave = (): void => waiting.job.cancel("the client closed its connection");
      if (signal.aborted) leave();
      else signal.addEventListener("abort", leave, { once: true });
    }
    for (const attempt of this.#context.live) attempt.sweep(now);
  }

  #job(request: ParsedRequest, headers: Headers, path: string, id: string): Cancellable {
    const fields = forwardedFields(headers, id, id);
    const authorization = this.#options.ownKeys ? null : headers.get("authorization");
    const input = { request, headers, path, fields, authorization, sample: 0 };
    return request.samples === 1 ? new Job(this.#context, input) : new Samples(this.#context, input);
  }

  async #body(request: Request): Promise<Buffer> {
    const { maxBody } = this.#options;
    const declared = Number(request.headers.get("content-length") ?? 0);
    const tooLarge = (): RequestError =>
      new RequestError(413, "body_too_large", `The body is larger than ${maxBody} bytes`);
    if (declared > maxBody) throw tooLarge();
    const body = Buffer.from(await request.arrayBuffer());
    if (body.length > maxBody) throw tooLarge();
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
