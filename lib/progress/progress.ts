import { asTransferError } from "../errors.ts";
import { lateness } from "../lateness.ts";
import type { Command } from "./command.ts";
import { DecodeRole } from "./decode-role.ts";
import type { ProgressDependencies } from "./dependencies.ts";
import { FakeRooms } from "./fake-rooms.ts";
import { PrefillRole } from "./prefill-role.ts";

const TICK_MS = 20;
const SLICE_MS = 0.25;

/** SGLang's warm-up requests name this bootstrap host: the states are run through, no byte moves. */
const FAKE_BOOTSTRAP_HOST = "2.2.2.2";

/**
 * The loop body of a manager's progress thread, without the thread: sockets, time and chance come from outside, so that
 * a test can run it under a virtual clock. Call `execute` for each command and `step` again and again.
 */
export class Progress {
  readonly role: DecodeRole | PrefillRole;
  readonly #dependencies: ProgressDependencies;
  readonly #fakes: FakeRooms;
  #nextTickAt = 0;
  #lastStepAt: number;
  #closed = false;

  constructor(dependencies: ProgressDependencies, registryAddress: string | undefined) {
    this.#dependencies = dependencies;
    this.#fakes = new FakeRooms(dependencies.table, dependencies.now);
    this.#lastStepAt = dependencies.now();
    this.role =
      dependencies.self.role === "decode"
        ? new DecodeRole(dependencies)
        : new PrefillRole(dependencies, registryAddress ?? "");
  }

  execute(command: Command): void {
    if (command.op === "open-sender" || command.op === "open-receiver") {
      if (command.bootstrapAddr?.startsWith(`${FAKE_BOOTSTRAP_HOST}:`)) return this.#fakes.open(command);
    } else if (this.#fakes.execute(command)) return;
    this.role.execute(command);
  }

  /** True: there is more to do right now. False: sleep until something is ready, {@link wakeAt} at the latest. */
  step(): boolean {
    const now = this.#dependencies.now();
    const late = lateness(this, this.#lastStepAt, now);
    this.#lastStepAt = now;
    if (late > 0) {
      this.role.forgive(late);
      this.#nextTickAt = now + TICK_MS;
    }
    const busy = this.role.step(now, now + SLICE_MS);
    if (now >= this.#nextTickAt) {
      this.#nextTickAt = now + TICK_MS;
      this.role.tick(now);
    }
    return busy;
  }

  /** In use, over all transports. */
  get queuePairs(): number {
    return this.#dependencies.transports.reduce((sum, { queuePairs = 0 }) => sum + queuePairs, 0);
  }

  get wakeAt(): number {
    return this.role.rooms.live > 0 ? Math.min(this.#nextTickAt, this.role.wakeAt) : this.role.wakeAt;
  }

  /** The loop cannot go on: every room ends with the reason. */
  fail(thrown: unknown): void {
    const error = asTransferError(thrown, { step: "progress" });
    this.#fakes.failAll(error);
    this.role.failAll(error);
  }

  /** Rooms whose pages must not be reused yet. */
  get unfenced(): number {
    return this.role.unfenced;
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.role.close();
  }
}
