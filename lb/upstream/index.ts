export { Connection, type ConnectionTarget, type ExchangeSink } from "./connection.ts";
export { Pool, type PoolOptions } from "./pool.ts";
export { UpstreamError, type UpstreamFailure } from "./upstream-error.ts";
export type { Outgoing } from "./outgoing.ts";
