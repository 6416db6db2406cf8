import type { Subprocess } from "bun";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Case, encodeCase, POOL_BYTES } from "./cases.ts";

export type Limit = "memcpy" | "writev" | "tcp";

/** The C program beside this file, compiled with the system's compiler: what the machine can do. */
export class Limits implements Disposable {
  readonly #child: Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: AsyncIterator<string>;
  readonly #folder: string;

  private constructor(folder: string, args: readonly string[]) {
    this.#folder = folder;
    this.#child = Bun.spawn([join(folder, "limits"), ...args], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    this.#lines = readLines(this.#child.stdout);
  }

  static async start(cases: readonly Case[], hugePages: boolean): Promise<Limits> {
    const folder = mkdtempSync(join(tmpdir(), "kvwire-limits-"));
    const source = join(import.meta.dir, "limits.c");
    const built = Bun.spawnSync(["cc", "-O2", source, "-o", join(folder, "limits")]);
    if (built.exitCode !== 0) throw new Error(`cc failed: ${built.stderr.toString()}`);
    const files = cases.map((one, index) => {
      const path = join(folder, `${index}.layout`);
      writeFileSync(path, encodeCase(one));
      return path;
    });
    const limits = new Limits(folder, [String(POOL_BYTES), hugePages ? "1" : "0", ...files]);
    await limits.#line();
    return limits;
  }

  /** Seconds of one transfer. */
  async run(limit: Limit, index: number): Promise<number> {
    this.#tell(`${limit} ${index}`);
    return Number(await this.#line());
  }

  /** Microseconds of each of `count` pages of 4 KiB, sent one by one. */
  async pages(limit: Limit, count: number): Promise<number[]> {
    this.#tell(`${limit}-page ${count}`);
    const times: number[] = [];
    while (times.length < count) times.push(Number(await this.#line()));
    return times;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true });
  }

  #tell(line: string): void {
    this.#child.stdin.write(`${line}\n`);
    void this.#child.stdin.flush();
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the limits program has ended");
    return value;
  }
}

export async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
