import type { Attempt } from "./attempt.ts";
import type { Failure } from "./failure.ts";
import type { TimeLimits } from "./limits.ts";

/** The deadline that an attempt without output has missed, if any. */
export function overdue(attempt: Attempt, limits: TimeLimits, now: number): Failure | undefined {
  const { plan, prefill, decode, startedAt, prefillAt } = attempt;
  const prefillLimit = limits.prefill + limits.prefillPerToken * plan.tokens;
  if (!prefill.ended && now - startedAt > prefillLimit) {
    return {
      // Where neither has answered, either may be the one that the other waits for.
      blame: decode.head === undefined ? "pair" : "prefill",
      code: "prefill_timeout",
      status: 504,
      message: `prefill did not answer within ${prefillLimit} ms`,
    };
  }
  if (plan.stream && prefill.ended && now - prefillAt > limits.firstOutput) {
    const message = `decode gave no output within ${limits.firstOutput} ms of prefill's answer`;
    return { blame: "decode", code: "first_output_timeout", status: 504, message };
  }
  if (!plan.stream && now - startedAt > limits.request) {
    const message = `no answer within ${limits.request} ms`;
    return { blame: "decode", code: "request_timeout", status: 504, message };
  }
  return undefined;
}

/** A stream that has fallen silent. */
export function streamIdle({ idle }: TimeLimits): Failure {
  return { blame: "decode", code: "stream_idle_timeout", status: 504, message: `decode sent nothing for ${idle} ms` };
}
