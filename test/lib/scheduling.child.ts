/** Makes a manager, and prints this thread's time slice and the nice values of this process's compilers. @module */
import { listThreads, timeSlice } from "../../ffi/libc/index.ts";
import { KVManager } from "../../lib/index.ts";
import { niceOf } from "../ffi/libc/nice.ts";
import { TestPool } from "./pool.ts";

const before = timeSlice();
using pool = new TestPool();
const promptThreads = process.argv[2] === "true";
await using _manager = await KVManager.create({ role: "decode", args: pool.args, transport: "tcp", promptThreads });
const nices = listThreads()
  .filter(({ name }) => name.startsWith("JIT"))
  .map(({ id }) => niceOf(id));
console.log(JSON.stringify({ before, after: timeSlice(), nices }));
