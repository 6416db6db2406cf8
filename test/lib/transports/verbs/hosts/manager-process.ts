import { join } from "node:path";
import { LineProcess, type Machine } from "../../../../rxe/index.ts";
import type { HostCommand, HostStart } from "./commands.ts";

const program = join(import.meta.dir, "program.ts");

/** A manager's process in a virtual machine. */
export class ManagerProcess {
  readonly #process: LineProcess;
  /** Prefill: its registry. */
  address = "";

  private constructor(machine: Machine, start: HostStart) {
    this.#process = new LineProcess(machine, [process.execPath, program, JSON.stringify(start)]);
  }

  static async start(
    machine: Machine,
    role: HostStart["role"],
    leaseMs: number,
    verbs: NonNullable<HostStart["verbs"]> = {},
  ): Promise<ManagerProcess> {
    const started = new ManagerProcess(machine, { role, host: machine.address, leaseMs, verbs });
    const hello = (await started.#process.answer()) as { address?: string };
    started.address = hello.address ?? "";
    return started;
  }

  async ask<Answer = object>(command: HostCommand): Promise<Answer> {
    return (await this.#process.ask(command)) as Answer;
  }

  /** kill -9 */
  async kill(): Promise<void> {
    await this.#process.kill();
  }
}
