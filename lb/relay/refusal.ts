import type { UpstreamError } from "../upstream/index.ts";
import { firstEventEnd, refusalIn } from "./events.ts";
import { errorBody, isCapacity, isTransferFailure, type Answer, type Failure, type LegName } from "./failure.ts";
import type { Leg } from "./leg.ts";

/** What a finished answer says against going on; undefined for a good one. */
export function refusalOf(leg: Leg): Failure | undefined {
  const { head, name } = leg;
  if (head === undefined || (leg.ok && !leg.events)) return undefined;
  const answer = leg.answer();
  if (leg.ok) return refusalInStream(name, answer.body);
  const failure = refused(name, head.status, `${name} answered ${head.status}`, answer);
  return isCapacity(head) ? { ...failure, blame: "request", answer, status: head.status, retry: "other" } : failure;
}

/** A refusal that came as the first event of a stream, behind a 200. */
export function refusalInEvent(name: LegName, event: Buffer): Failure | undefined {
  const verdict = refusalIn(event);
  return verdict && refused(name, verdict.status, verdict.message, undefined);
}

/** The same for a stream that was kept whole: prefill's, of which nothing is passed on. */
function refusalInStream(name: LegName, body: Buffer): Failure | undefined {
  for (let start = 0, end = firstEventEnd(body); end >= 0; start = end, end = firstEventEnd(body, end)) {
    const failure = refusalInEvent(name, body.subarray(start, end));
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** Statuses below 500 are the request's own fault; above, the worker's, unless a transfer broke between the two. */
function refused(name: LegName, status: number, message: string, answer: Answer | undefined): Failure {
  // Prefill's 5xx is no answer to the client, who asked for decode's.
  const own = status < 500 || name === "decode";
  const shown = own ? status : 502;
  const text = answer ?? {
    status: shown,
    fields: ["content-type", "application/json"],
    body: Buffer.from(errorBody(shown, `${name}_refused`, message)),
  };
  const transfer = name === "decode" && isTransferFailure(text.body);
  return {
    blame: status < 500 ? "request" : transfer ? "pair" : name,
    code: status < 500 ? `${name}_refused` : `${name}_failed`,
    status: shown,
    message,
    ...(own ? { answer: text } : {}),
    ...(status === 429 || status > 500 ? { retry: "other" as const } : {}),
  };
}

/** A stream that ended before one whole event. */
export const EMPTY_STREAM: Failure = {
  blame: "decode",
  code: "decode_empty_stream",
  status: 502,
  message: "decode ended its stream without an event",
  retry: "any",
};

/** A leg that gave no whole answer. A kept connection that had just been closed is nobody's fault. */
export function transportFailure(name: LegName, error: UpstreamError): Failure {
  const timeout = error.code === "CONNECT_TIMEOUT";
  return {
    blame: error.code === "STALE_CONNECTION" ? "balancer" : name,
    code: timeout ? `${name}_connect_timeout` : `${name}_failed`,
    status: timeout ? 504 : 502,
    message: error.message,
    retry: "any",
  };
}
