import { EventFd } from "../../ffi/libc/index.ts";
import { KVTransferError } from "../errors.ts";
import { RoomTable } from "../rooms/index.ts";
import { CommandPort } from "./command-port.ts";
import { CommandRing } from "./command-ring.ts";
import type { Command } from "./command.ts";
import type { ProgressFigures, ProgressHost } from "./host.ts";
import { Control, Phase, type ProgressReport, type ProgressStart, type RehearsalScript } from "./worker-protocol.ts";

const RING_BYTES = 4 * 1024 * 1024;
const REHEARSAL_RING_BYTES = 64 * 1024;
const REHEARSAL_ROOMS = 8;
/** Two, or the code that is compiled would count on there being one of everything. */
const REHEARSALS = 2;

export type ThreadOptions = Omit<ProgressStart, "table" | "ring" | "rehearsals" | "wakeFd" | "control"> & {
  readonly threadMs: number;
};

/** Where the engine's thread plays its part of a rehearsal, which ends with the command to stop. */
export interface RehearsalStage extends RehearsalScript {
  readonly port: CommandPort;
}

/** The progress thread as the engine's thread sees it. */
export class ProgressThread implements ProgressHost {
  readonly #worker: Worker;
  readonly #port: CommandPort;
  readonly #wake: EventFd;
  readonly #control: Int32Array;
  readonly #threadMs: number;
  transports: readonly string[] = [];
  unusable: readonly string[] = [];
  /** One after the other; the thread does nothing else before the last is stopped. */
  rehearsals: readonly RehearsalStage[] = [];
  #holds = 0;

  private constructor(worker: Worker, port: CommandPort, wake: EventFd, control: Int32Array, threadMs: number) {
    this.#worker = worker;
    this.#port = port;
    this.#wake = wake;
    this.#control = control;
    this.#threadMs = threadMs;
  }

  /** @throws {KVTransferError} NO_TRANSPORT with the reason for each, DEADLINE, INTERNAL. */
  static async start(options: ThreadOptions, table: RoomTable): Promise<ProgressThread> {
    const { threadMs, ...rest } = options;
    const wake = EventFd.create();
    const control = new Int32Array(new SharedArrayBuffer(Control.words * 4));
    const port = new CommandPort(table, CommandRing.allocate(RING_BYTES), wake, control);
    const rehearsed = Array.from({ length: REHEARSALS }, () => {
      return new CommandPort(
        RoomTable.allocate(REHEARSAL_ROOMS),
        CommandRing.allocate(REHEARSAL_RING_BYTES),
        wake,
        control,
      );
    });
    const worker = new Worker(new URL("./worker.ts", import.meta.url).href);
    const thread = new ProgressThread(worker, port, wake, control, threadMs);
    try {
      const scripts = await thread.#begin({
        ...rest,
        table: table.shared,
        ring: port.ring.shared,
        rehearsals: rehearsed.map(({ table: { shared }, ring }) => ({ table: shared, ring: ring.shared })),
        wakeFd: wake.fd,
        control: control.buffer as SharedArrayBuffer,
      });
      thread.rehearsals = scripts.map((script, act) => ({ ...script, port: rehearsed[act]! }));
    } catch (error) {
      wake.close();
      throw error;
    }
    worker.unref();
    return thread;
  }

  submit(command: Command): void {
    this.#port.submit(command);
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

  /** Settles with what there is to rehearse. */
  #begin(start: ProgressStart): Promise<readonly RehearsalScript[]> {
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
          return resolve(data.rehearsals);
        }
        const refused = data.report === "refused";
        const message = refused
          ? `no transport can be used here: ${data.message}`
          : `the progress thread died: ${data.message}`;
        this.#port.cause = new KVTransferError(refused ? "NO_TRANSPORT" : "INTERNAL", message, { step: "progress" });
        reject(this.#port.cause);
      });
      this.#worker.addEventListener("error", (event) => {
        clearTimeout(timer);
        reject(new KVTransferError("INTERNAL", `the progress thread died: ${event.message}`, { step: "start" }));
      });
      this.#worker.postMessage(start);
    });
  }
}
