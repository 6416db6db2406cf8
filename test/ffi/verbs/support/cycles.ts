/**
 * Creates and closes all that a connection is made of, again and again, and prints a line of JSON for every block of
 * cycles. In a process that does nothing else: the memory of one that has run other tests moves by more than a leak would.
 */
import { heapStats } from "bun:jsc";
import { readdirSync, readFileSync } from "node:fs";
import { Mapping } from "../../../../ffi/libc/index.ts";
import { type Context, Device } from "../../../../ffi/verbs/index.ts";
import { Side } from "./loopback.ts";

const [blocks, cycles] = process.argv.slice(2).map(Number) as [number, number];

/** Everything but the context and the memory, which the rounds share. */
function cycle(context: Context, memory: Mapping): void {
  using channel = context.createCompletionChannel();
  using queue = context.createCompletionQueue({ entries: 16, channel });
  using domain = context.allocateProtectionDomain();
  domain.registerMemory(memory);
  const sharedReceiveQueue = domain.createSharedReceiveQueue({ requests: 16 });
  domain.createQueuePair({ type: "RC", sendCompletionQueue: queue, receiveCompletionQueue: queue, sharedReceiveQueue });
}

/** Kilobytes resident of what malloc has by brk: where libibverbs and its drivers keep their structures. */
function heapOfC(): number {
  const [, kilobytes] = /\[heap\]\n[^[]*?\nRss: +(\d+) kB/.exec(readFileSync("/proc/self/smaps", "utf8")) ?? [];
  return Number(kilobytes);
}

using context = Device.find().open();
using memory = Mapping.allocate(4096);
for (let block = 0; block < blocks; block++) {
  for (let round = 0; round < cycles; round++) cycle(context, memory);
  for (let round = 0; round < cycles / 100; round++) new Side(Device.find().open(), { events: true }).context.close();
  Bun.gc(true);
  const descriptors = readdirSync("/proc/self/fd").length;
  const { objectCount } = heapStats();
  console.log(JSON.stringify({ descriptors, objectCount, heapOfC: heapOfC(), resident: process.memoryUsage.rss() }));
}
