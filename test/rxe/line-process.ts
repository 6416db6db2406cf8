import type { GuestProcess } from "./guest-process.ts";
import type { Machine } from "./machine.ts";

/** A program in a machine that is asked and answers in lines of JSON, one after another. */
export class LineProcess {
  readonly #child: GuestProcess;
  readonly #lines: string[] = [];
  #rest = "";
  #wake = Promise.withResolvers<void>();

  constructor(machine: Machine, command: readonly string[]) {
    const decoder = new TextDecoder();
    this.#child = machine.spawn(command, {
      onStdout: (chunk) => this.#hear(decoder.decode(chunk, { stream: true })),
      onStderr: (chunk) => process.stderr.write(chunk),
    });
  }

  async ask(command: object): Promise<unknown> {
    this.#child.write(`${JSON.stringify(command)}\n`);
    return await this.answer();
  }

  /** Its next line. @throws when it ends instead. */
  async answer(): Promise<unknown> {
    while (this.#lines.length === 0) {
      const code = await Promise.race([this.#wake.promise, this.#child.exited]);
      if (code !== undefined && this.#lines.length === 0) throw new Error(`the process ended with ${code}`);
    }
    return JSON.parse(this.#lines.shift()!);
  }

  /** kill -9 */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    this.#lines.push(...lines);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}
