import { ReceiveList, SendFlag, SendList } from "../../ffi/verbs/index.ts";
import { type Address, DEPTH, type Endpoint } from "./endpoint.ts";

/** Requests of one post, of which the last is signalled; perftest is told the same by -Q. */
export const BATCH = 16;
export const LATENCY_BYTES = 8;

export type Operation = "write" | "read" | "send";

/** Sends `count` messages, a multiple of BATCH, and waits for the last. @returns seconds. */
export function stream(endpoint: Endpoint, remote: Address, operation: Operation, size: number, count: number): number {
  const { queuePair, completions, region } = endpoint;
  const { completions: batch } = completions;
  const list = new SendList({ requests: BATCH });
  const start = performance.now();
  let posted = 0;
  let done = 0;
  while (done < count) {
    while (posted < count && posted - done + BATCH <= DEPTH) {
      list.clear();
      for (let index = 1; index <= BATCH; index++) {
        const flags = index === BATCH ? SendFlag.SIGNALED : 0;
        list.entry(region.address, size, region.lkey);
        if (operation === "write") list.write(posted + index, remote.address, remote.rkey, flags);
        else if (operation === "read") list.read(posted + index, remote.address, remote.rkey, flags);
        else list.send(posted + index, flags);
      }
      queuePair.postSend(list);
      posted += BATCH;
    }
    const polled = completions.poll();
    for (let index = 0; index < polled; index++) {
      batch.requireSuccess(index);
      done = batch.workRequestId(index);
    }
  }
  return (performance.now() - start) / 1000;
}

/** Receives `count` messages, with two depths of receives posted. `posted` is called when the peer may begin. */
export function receive(endpoint: Endpoint, size: number, count: number, posted: () => void): void {
  const { queuePair, completions, region } = endpoint;
  const { completions: batch } = completions;
  const list = new ReceiveList({ requests: 2 * DEPTH });
  const post = (receives: number) => {
    list.clear();
    for (let index = 0; index < receives; index++) list.entry(region.address, size, region.lkey).receive(index);
    queuePair.postReceive(list);
  };
  let left = Math.min(count, 2 * DEPTH);
  post(left);
  posted();
  for (let received = 0; received < count;) {
    const polled = completions.poll();
    for (let index = 0; index < polled; index++) batch.requireSuccess(index);
    received += polled;
    const more = Math.min(polled, count - left);
    if (more > 0) post(more);
    left += more;
  }
}

/** Half round trips in microseconds. */
export interface Latency {
  /** The middle one. */
  readonly typical: number;
  readonly average: number;
}

/**
 * Writes a number into the peer's memory and waits for it to come back, `count` times, as ib_write_lat does: the bytes go
 * inline, arrival is seen in memory, then the own write's completion is polled for. One side begins.
 */
export function pingPong(endpoint: Endpoint, remote: Address, count: number, begins: boolean): Latency {
  const { queuePair, completions, memory } = endpoint;
  const { completions: batch } = completions;
  const words = new Int32Array(memory.buffer, 0, 4);
  const incoming = 2;
  Atomics.store(words, incoming, 0);
  const list = new SendList({ requests: 1 });
  const flags = SendFlag.SIGNALED | SendFlag.INLINE;
  list.entry(memory.address, LATENCY_BYTES, 0).write(1, remote.address + incoming * 4, remote.rkey, flags);
  const times = new Float64Array(count);
  const start = performance.now();
  let last = start;
  for (let round = 1; round <= count; round++) {
    if (begins) {
      words[0] = round;
      queuePair.postSend(list);
    }
    while (Atomics.load(words, incoming) !== round);
    if (!begins) {
      words[0] = round;
      queuePair.postSend(list);
    }
    while (completions.poll() === 0);
    batch.requireSuccess(0);
    const now = performance.now();
    times[round - 1] = now - last;
    last = now;
  }
  const half = (milliseconds: number): number => (milliseconds * 1000) / 2;
  return { typical: half(times.toSorted()[count >> 1]!), average: half((last - start) / count) };
}
