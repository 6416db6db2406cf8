import { readFileSync } from "node:fs";

/** The nice value of a thread of this process: field 19 of proc_pid_stat(5). The name before it may have spaces. */
export function niceOf(threadId: number): number {
  const stat = readFileSync(`/proc/self/task/${threadId}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
}
