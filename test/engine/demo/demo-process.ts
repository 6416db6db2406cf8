import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const main = join(import.meta.dir, "../../../engine/demo/main.ts");

/** The demonstration's command in a process of its own, and what it has written so far. */
export class DemoProcess implements AsyncDisposable {
  stdout = "";
  stderr = "";
  readonly #process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #output: Promise<unknown>;
  #changed = Promise.withResolvers<void>();

  constructor(...args: string[]) {
    this.#process = Bun.spawn([process.execPath, main, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    this.#output = Promise.all([
      this.#read(this.#process.stdout, (text) => (this.stdout += text)),
      this.#read(this.#process.stderr, (text) => (this.stderr += text)),
    ]);
  }

  /** The processes that it started and that are alive. */
  get children(): number[] {
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => pid > 0 && parentOf(pid) === this.#process.pid);
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Waits until its output matches. @throws with all output when it ends before. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const changed = this.#changed.promise;
      const match = pattern.exec(this.stdout);
      if (match) return match;
      if (this.#process.exitCode !== null) throw new Error(`no ${pattern} in:\n${this.stdout}\n${this.stderr}`);
      await Promise.race([changed, this.#process.exited]);
    }
  }

  /** Its exit code, once all of its output is read. */
  async ended(): Promise<number> {
    await this.#output;
    return this.#process.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#process.exited;
  }

  async #read(stream: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      add(decoder.decode(chunk, { stream: true }));
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }
}

export function isAlive(pid: number): boolean {
  return parentOf(pid) !== undefined;
}

/** Undefined where there is no such process, or only its exit code is left. */
function parentOf(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return /^State:\tZ/m.test(status) ? undefined : Number(/^PPid:\t(\d+)$/m.exec(status)![1]);
  } catch {
    return undefined;
  }
}
