/** What a prefill and a decode server do besides computing: meet in a room, and hand the cache over. @module */
export { fakeBootstrap } from "./bootstrap.ts";
export { type Half, halfOf } from "./half.ts";
export type { KvLink } from "./kv-link.ts";
export type { DisaggregationOptions } from "./options.ts";
