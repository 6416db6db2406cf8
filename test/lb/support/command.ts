import { join } from "node:path";
import { until } from "./cluster.ts";
import { MockWorker } from "./mock-worker.ts";
import { RoomHub } from "./room-hub.ts";

export const ROOT = join(import.meta.dir, "../../..");
const FROM_SOURCE: readonly string[] = [process.execPath, "lb/main.ts"];

/** The command as a user runs it, on a free port. */
export class Command implements AsyncDisposable {
  readonly hub = new RoomHub();
  readonly prefill = new MockWorker("prefill", this.hub);
  readonly decode = new MockWorker("decode", this.hub);
  readonly process: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly #lines: string[] = [];

  constructor(args: readonly string[] = [], { program = FROM_SOURCE, path = process.env["PATH"] } = {}) {
    const workers = ["--prefill", this.prefill.url, "8998", "--decode", this.decode.url];
    this.process = Bun.spawn([...program, "--host", "127.0.0.1", "--port", "0", ...workers, ...args], {
      cwd: ROOT,
      env: { ...process.env, PATH: path },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    void this.#read();
  }

  /** Its address, once it listens. */
  async url(): Promise<string> {
    const line = (): string | undefined => this.#lines.find((text) => text.includes('"listening"'));
    await until(() => line() !== undefined, 10_000);
    return `http://127.0.0.1:${(JSON.parse(line()!) as { port: number }).port}`;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const chunk of this.process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      this.#lines.push(...lines);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.exited;
    this.prefill.stop();
    this.decode.stop();
  }
}
