import { leastLoaded } from "./load.ts";
import type { Policy } from "./policy.ts";

export const leastLoad = (): Policy => ({ name: "least_load", choose: (workers) => leastLoaded(workers) });
