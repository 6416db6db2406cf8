import { join } from "node:path";
import type { GuestProcess, Machine } from "../../../../rxe/index.ts";
import type { HostCommand, HostStart } from "./commands.ts";

const program = join(import.meta.dir, "program.ts");

/** A manager's process in a virtual machine. */
export class ManagerProcess {
  readonly #child: GuestProcess;
  readonly #lines: string[] = [];
  #rest = "";
  #wake = Promise.withResolvers<void>();
  /** Prefill: its registry. */
  address = "";

  private constructor(machine: Machine, start: HostStart) {
    const decoder = new TextDecoder();
    this.#child = machine.spawn([process.execPath, program, JSON.stringify(start)], {
      onStdout: (chunk) => this.#hear(decoder.decode(chunk, { stream: true })),
      onStderr: (chunk) => process.stderr.write(chunk),
    });
  }

  static async start(
    machine: Machine,
    role: HostStart["role"],
    leaseMs: number,
    verbs: NonNullable<HostStart["verbs"]> = {},
  ): Promise<ManagerProcess> {
    const started = new ManagerProcess(machine, { role, host: machine.address, leaseMs, verbs });
    const hello = (await started.#answer()) as { address?: string };
    started.address = hello.address ?? "";
    return started;
  }

  async ask<Answer = object>(command: HostCommand): Promise<Answer> {
    this.#child.write(`${JSON.stringify(command)}\n`);
    return (await this.#answer()) as Answer;
  }

  /** kill -9 */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #answer(): Promise<unknown> {
    while (this.#lines.length === 0) {
      const code = await Promise.race([this.#wake.promise, this.#child.exited]);
      if (code !== undefined && this.#lines.length === 0) throw new Error(`the process ended with ${code}`);
    }
    return JSON.parse(this.#lines.shift()!);
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    this.#lines.push(...lines);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}
