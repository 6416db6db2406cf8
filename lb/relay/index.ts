export { Attempt } from "./attempt.ts";
export { errorBody, type Failure } from "./failure.ts";
export type { JobContext, RetryOptions } from "./job.ts";
export type { TimeLimits } from "./limits.ts";
export type { AttemptObserver, Outcome } from "./plan.ts";
export { Relay, type RelayObserver, type RelayOptions, type RequestSummary } from "./relay.ts";
export { errorResponse } from "./response.ts";
