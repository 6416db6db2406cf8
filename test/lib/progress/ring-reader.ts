/** Reads 5,000 commands from the ring it is given and posts the sum of their pages. */
declare const self: Worker;

import { CommandRing } from "../../../lib/progress/command-ring.ts";

self.addEventListener("message", ({ data }: MessageEvent<SharedArrayBuffer>) => {
  const ring = CommandRing.over(data);
  let sum = 0;
  for (let count = 0; count < 5_000;) {
    const command = ring.pop();
    if (!command) continue;
    count++;
    if ("pages" in command) for (const page of command.pages) sum += page;
  }
  self.postMessage(sum);
});
