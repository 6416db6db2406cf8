export type { Choice, Policy } from "./policy.ts";
export { random } from "./random.ts";
export { roundRobin } from "./round-robin.ts";
