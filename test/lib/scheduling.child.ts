/** Makes a manager, and prints this thread's time slice and the nice values of this process's compilers. @module */
import { readFileSync } from "node:fs";
import { listThreads, timeSlice } from "../../ffi/libc/index.ts";
import { KVManager } from "../../lib/index.ts";
import { TestPool } from "./pool.ts";

const before = timeSlice();
using pool = new TestPool();
const promptThreads = process.argv[2] === "true";
await using _manager = await KVManager.create({ role: "decode", args: pool.args, transport: "tcp", promptThreads });
/** Field 19 of proc_pid_stat(5). */
const nices = listThreads()
  .filter(({ name }) => name.startsWith("JIT"))
  .map(({ id }) => Number(readFileSync(`/proc/self/task/${id}/stat`, "utf8").split(") ")[1]!.split(" ")[16]));
console.log(JSON.stringify({ before, after: timeSlice(), nices }));
