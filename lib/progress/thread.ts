import { EventFd } from "../../ffi/libc/index.ts";
import { KVTransferError } from "../errors.ts";
import type { RoomTable } from "../rooms/index.ts";
import { type Command, refuse } from "./command.ts";
import type { ProgressFigures, ProgressHost } from "./host.ts";
import { CommandRing } from "./command-ring.ts";
import { Control, Phase, type ProgressReport, type ProgressStart } from "./worker-protocol.ts";

const RING_BYTES = 4 * 1024 * 1024;

export type ThreadOptions = Omit<ProgressStart, "table" | "ring" | "wakeFd" | "control"> & {
  readonly threadMs: number;
};

/** The progress thread as the engine's thread sees it. */
export class ProgressThread implements ProgressHost {
  readonly #worker: Worker;
  readonly #table: RoomTable;
  readonly #ring: CommandRing;
  readonly #wake: EventFd;
  readonly #control: Int32Array;
  readonly #threadMs: number;
  /** Commands that did not fit the ring. */
  readonly #overflow: Command[] = [];
  transports: readonly string[] = [];
  unusable: readonly string[] = [];
  #holds = 0;
  #cause = new KVTransferError("INTERNAL", "the progress thread has died", { step: "progress" });

  private constructor(
    worker: Worker,
    table: RoomTable,
    ring: CommandRing,
    wake: EventFd,
    control: Int32Array,
    threadMs: number,
  ) {
    this.#worker = worker;
    this.#table = table;
    this.#ring = ring;
    this.#wake = wake;
    this.#control = control;
    this.#threadMs = threadMs;
  }

  /** @throws {KVTransferError} NO_TRANSPORT with the reason for each, DEADLINE, INTERNAL. */
  static async start(options: ThreadOptions, table: RoomTable): Promise<ProgressThread> {
    const { threadMs, ...rest } = options;
    const wake = EventFd.create();
    const ring = CommandRing.allocate(RING_BYTES);
    const control = new Int32Array(new SharedArrayBuffer(Control.words * 4));
    const worker = new Worker(new URL("./worker.ts", import.meta.url).href);
    const thread = new ProgressThread(worker, table, ring, wake, control, threadMs);
    try {
      await thread.#begin({
        ...rest,
        table: table.shared,
        ring: ring.shared,
        wakeFd: wake.fd,
        control: control.buffer as SharedArrayBuffer,
      });
    } catch (error) {
      wake.close();
      throw error;
    }
    worker.unref();
    return thread;
  }

  submit(command: Command): void {
    if (this.#overflow.length > 0 || !this.#ring.push(command)) {
      this.#overflow.push(command);
      if (this.#overflow.length === 1) void this.#flush();
    }
    if (Atomics.load(this.#control, Control.asleep) === 1) this.#wake.signal();
    if (this.#died) refuse(this.#table, command, this.#cause);
  }

  hold(): void {
    if (this.#holds++ === 0) this.#worker.ref();
  }

  unhold(): void {
    if (--this.#holds === 0) this.#worker.unref();
  }

  async close(): Promise<{ unfenced: number }> {
    this.hold();
    this.submit({ op: "stop" });
    this.#wake.signal();
    const deadline = performance.now() + this.#threadMs;
    for (;;) {
      const phase = Atomics.load(this.#control, Control.phase);
      if (phase === Phase.stopped || phase === Phase.died) break;
      const left = deadline - performance.now();
      if (left <= 0) {
        throw new KVTransferError("DEADLINE", `the progress thread did not stop in ${this.#threadMs} ms`, {
          step: "close",
        });
      }
      const wait = Atomics.waitAsync(this.#control, Control.phase, phase, left);
      if (wait.async) await wait.value;
    }
    this.unhold();
    this.#wake.close();
    return { unfenced: Atomics.load(this.#control, Control.unfenced) };
  }

  get figures(): ProgressFigures {
    const read = (word: number): number => Atomics.load(this.#control, word);
    const { pairs, queuePairs, links, earlyRooms } = Control;
    return { pairs: read(pairs), queuePairs: read(queuePairs), links: read(links), earlyRooms: read(earlyRooms) };
  }

  get #died(): boolean {
    return Atomics.load(this.#control, Control.phase) === Phase.died;
  }

  /** The ring was full: pushes what waits, in order, as the thread makes space. */
  async #flush(): Promise<void> {
    while (this.#overflow.length > 0 && !this.#died) {
      const waiting = Atomics.waitAsync(this.#control, Control.drained, 0, 10);
      if (waiting.async) await waiting.value;
      while (this.#overflow.length > 0 && this.#ring.push(this.#overflow[0]!)) this.#overflow.shift();
      this.#wake.signal();
    }
  }

  #begin(start: ProgressStart): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = new KVTransferError("DEADLINE", `the progress thread did not start in ${this.#threadMs} ms`, {
        step: "start",
      });
      const timer = setTimeout(() => reject(late), this.#threadMs);
      this.#worker.addEventListener("message", ({ data }: MessageEvent<ProgressReport>) => {
        clearTimeout(timer);
        if (data.report === "running") {
          this.transports = data.transports;
          this.unusable = data.unusable;
          return resolve();
        }
        const refused = data.report === "refused";
        const message = refused
          ? `no transport can be used here: ${data.message}`
          : `the progress thread died: ${data.message}`;
        this.#cause = new KVTransferError(refused ? "NO_TRANSPORT" : "INTERNAL", message, { step: "progress" });
        reject(this.#cause);
      });
      this.#worker.addEventListener("error", (event) => {
        clearTimeout(timer);
        reject(new KVTransferError("INTERNAL", `the progress thread died: ${event.message}`, { step: "start" }));
      });
      this.#worker.postMessage(start);
    });
  }
}
