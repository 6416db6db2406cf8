import { loadOf } from "./load.ts";
import type { Policy } from "./policy.ts";

/** The less loaded of two picked at random: nearly as even as looking at all, and no herd after a stale look. */
export const powerOfTwo = (): Policy => ({
  name: "power_of_two",
  choose(workers) {
    const first = Math.floor(Math.random() * workers.length);
    if (workers.length === 1) return workers[0]!;
    const second = (first + 1 + Math.floor(Math.random() * (workers.length - 1))) % workers.length;
    const [a, b] = [workers[first]!, workers[second]!];
    return loadOf(b) < loadOf(a) ? b : a;
  },
});
