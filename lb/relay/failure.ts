import { fieldOf, type ResponseHead } from "../wire/index.ts";

export type LegName = "prefill" | "decode";

/** Whose fault a failure was; only "prefill" and "decode" count against a worker. */
export type Blame = LegName | "pair" | "request" | "client" | "balancer";

/** A whole answer of a worker: what the client gets, or what explains a failure. */
export interface Answer {
  readonly status: number;
  /** name, value, name, value … */
  readonly fields: readonly string[];
  readonly body: Buffer;
}

/** Why a pair of requests gave no usable answer. */
export interface Failure {
  readonly blame: Blame;
  /** Documented, stable: `prefill_failed`, `decode_failed`, `upstream_timeout`, … */
  readonly code: string;
  readonly status: number;
  readonly message: string;
  /** The worker's own answer, passed to the client as it is. */
  readonly answer?: Answer;
  /** Seconds after which it is worth coming again. */
  readonly retryAfter?: number;
  /** Another attempt, with a fresh room, might succeed: `any` pair, or only an `other` worker. */
  readonly retry?: "any" | "other";
}

/** A failure that the client itself asked for: nobody's fault, and not tried again. */
export function unblamed({ code, status, message, answer }: Failure): Failure {
  return { blame: "client", code, status, message, ...(answer === undefined ? {} : { answer }) };
}

export const clientGone = (message: string): Failure => ({
  blame: "client",
  code: "client_gone",
  status: 499,
  message,
});

/** What a client is told of a fault in this program or in a policy. */
export const INTERNAL_ERROR: Failure = {
  blame: "balancer",
  code: "internal_error",
  status: 500,
  message: "an unexpected error; the log has it",
};

/** An error body in OpenAI's shape. */
export function errorBody(status: number, code: string, message: string): string {
  return JSON.stringify({ error: { message, type: errorType(status), param: null, code } });
}

function errorType(status: number): string {
  if (status === 401 || status === 403) return "authentication_error";
  if (status === 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

/** Statuses that say "not now" and nothing against the worker. */
export function isCapacity(head: ResponseHead): boolean {
  return head.status === 429 || (head.status === 503 && fieldOf(head, "retry-after") !== undefined);
}

const TRANSFER = /transfer failed|handshake failed|lost connection with prefill|kvtransfererror/i;

/** Decode's 500 for a transfer that broke says nothing against decode. */
export function isTransferFailure(body: Buffer): boolean {
  return TRANSFER.test(body.toString("latin1", 0, 16_384));
}
