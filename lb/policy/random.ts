import type { Policy } from "./policy.ts";

export const random = (): Policy => ({
  name: "random",
  choose: (workers) => workers[Math.floor(Math.random() * workers.length)]!,
});
