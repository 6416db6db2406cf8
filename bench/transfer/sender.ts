import type { Subprocess } from "bun";
import { Mapping, yieldProcessor } from "../../ffi/libc/index.ts";
import type { OutboundEnd, WriteBatch } from "../../lib/transports/transport.ts";
import { openTransport } from "../../test/lib/transports/support/context.ts";
import { emptyPlan, planOf } from "../../test/lib/transports/support/plans.ts";
import { PollReactor } from "../../test/lib/transports/support/poll-reactor.ts";
import { bytesOf, type Case, POOL_BYTES } from "./cases.ts";
import { readLines } from "./limits.ts";
import type { ReceiverCommand } from "./receiver.ts";

const SPIN_MS = 0.05;

interface Link {
  readonly end: OutboundEnd;
  /** Where the receiver's pool stands for plans. */
  readonly base: number;
}

/** The sending process, with the receiving one: runs a case over a transport and says how long it took. */
export class Sender implements Disposable {
  readonly #source: Mapping;
  readonly #reactor = new PollReactor();
  readonly #links = new Map<string, Link>();
  readonly #receiver: Subprocess<"pipe", "pipe", "inherit">;
  readonly #answers: AsyncIterator<string>;
  readonly #connected = new Set<string>();
  #written: WriteBatch | undefined;
  #lost: Error | undefined;
  #lastProgress = 0;

  constructor(hugePages: boolean) {
    this.#source = Mapping.allocate(POOL_BYTES, { hugePages, populate: true });
    const words = new Float64Array(this.#source.buffer);
    for (let i = 0; i < words.length; i++) words[i] = i * 0.618033988749895;
    const script = `${import.meta.dir}/receiver.ts`;
    this.#receiver = Bun.spawn([process.execPath, script, hugePages ? "1" : "0"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#answers = readLines(this.#receiver.stdout);
  }

  async connect(name: string): Promise<void> {
    const { offer, address } = await this.#ask({ do: "open", transport: name });
    const transport = openTransport(name, { role: "prefill", reactor: this.#reactor });
    const end = transport.openOutbound("receiver", offer, {
      connected: () => this.#connected.add(name),
      written: (batch) => (this.#written = batch),
      failed: (_batch, error) => (this.#lost = error),
      lost: (error) => (this.#lost = error),
    });
    while (!this.#connected.has(name)) this.#turn(end);
    await this.#ask({ do: "accept", transport: name, endpoint: end.endpoint });
    end.confirm();
    while (end.step(performance.now() + 1));
    this.#links.set(name, { end, base: end.destinationBases?.[0] ?? (address as number) });
  }

  /** The batch of a whole room; prepared once, as a manager has its plan before it writes. */
  roomOf(name: string, one: Case): WriteBatch {
    return { tag: 1, plan: this.#plan(name, one), last: { aux: emptyPlan, totalBytes: bytesOf(one) } };
  }

  /** One page as a chunk of a room that goes on: no notification. */
  pageOf(name: string): WriteBatch {
    const page = { name: "page", block: 4_096, from: Float64Array.of(5 * 4_096), to: Float64Array.of(77 * 4_096) };
    return { tag: 1, plan: this.#plan(name, page) };
  }

  /** Seconds from handing over the batch until every byte is in the receiver's memory and it has been told. */
  run(name: string, batch: WriteBatch): number {
    const { end } = this.#links.get(name)!;
    this.#written = undefined;
    this.#lastProgress = performance.now();
    const start = Bun.nanoseconds();
    end.write(batch);
    if (name === "tcp") while (this.#written !== batch) this.#turn(end);
    else {
      // Nothing is waited for: the progress thread, too, steps again as long as it is told to.
      while (this.#written !== batch && end.step(performance.now() + 1));
      while (this.#written !== batch) this.#turn(end);
    }
    return (Bun.nanoseconds() - start) / 1e9;
  }

  /** Seconds until all batches, queued at once, are written. */
  runAll(name: string, batches: readonly WriteBatch[]): number {
    const { end } = this.#links.get(name)!;
    const last = batches.at(-1);
    this.#written = undefined;
    const start = Bun.nanoseconds();
    for (const batch of batches) end.write(batch);
    while (this.#written !== last) this.#turn(end);
    return (Bun.nanoseconds() - start) / 1e9;
  }

  /** Runs a case once over a zeroed pool and compares every byte of it, written or not. */
  async verify(name: string, one: Case): Promise<void> {
    await this.#ask({ do: "zero", transport: name });
    this.run(name, this.roomOf(name, one));
    using expected = Mapping.allocate(POOL_BYTES);
    const { bytes } = expected;
    for (let i = 0; i < one.from.length; i++) {
      bytes.set(this.#source.bytes.subarray(one.from[i]!, one.from[i]! + one.block), one.to[i]!);
    }
    const { hash } = await this.#ask({ do: "hash", transport: name });
    if (hash !== String(Bun.hash(bytes))) throw new Error(`${name}, ${one.name}: the receiver has other bytes`);
  }

  [Symbol.dispose](): void {
    this.#receiver.kill("SIGKILL");
    this.#source.close();
  }

  #plan(name: string, one: Case): WriteBatch["plan"] {
    const { base } = this.#links.get(name)!;
    const pieces = Array.from(one.from, (from, i) => ({
      source: this.#source.address + from,
      destination: base + one.to[i]!,
      byteLength: one.block,
    }));
    return planOf(pieces);
  }

  /** As the progress thread does: on as long as there is progress and a moment longer, then asleep. */
  #turn(end: OutboundEnd): void {
    if (this.#lost) throw this.#lost;
    const now = performance.now();
    const busy = end.step(now + 1);
    const spinning = busy || now - this.#lastProgress < SPIN_MS;
    if (this.#reactor.turn(spinning ? 0 : 1) || busy) this.#lastProgress = now;
    else if (spinning) yieldProcessor();
  }

  async #ask(command: ReceiverCommand): Promise<Record<string, unknown>> {
    this.#receiver.stdin.write(`${JSON.stringify(command)}\n`);
    void this.#receiver.stdin.flush();
    const { value, done } = await this.#answers.next();
    if (done) throw new Error("the receiver has ended");
    return JSON.parse(value) as Record<string, unknown>;
  }
}
