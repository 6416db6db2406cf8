export { Exposition, mergeExpositions } from "./exposition.ts";
export { Histogram } from "./histogram.ts";
export { createLog, type Log } from "./log.ts";
export { Metrics } from "./metrics.ts";
