import type { Policy } from "./policy.ts";

export function roundRobin(): Policy {
  let turn = 0;
  return {
    name: "round_robin",
    choose: (workers) => workers[turn++ % workers.length]!,
  };
}
