import { DemoError } from "./errors.ts";

/** How long a server may take to end its requests and leave before it is killed. */
const STOP_GRACE_MS = 5_000;
const LOG_LINES = 12;

export interface ServerCommand {
  /** What a person calls it. */
  readonly name: string;
  /** A script and its arguments, for the runtime that runs this one. */
  readonly script: readonly string[];
  /** Where it listens, from the line with which it says so; undefined for any other line. */
  readonly readUrl: (line: string) => string | undefined;
  /** Told of every line of its output. */
  readonly onLine?: (line: string) => void;
}

/** A server in a process of its own: its address once it is ready, its last words when it dies. */
export class ServerProcess implements AsyncDisposable {
  readonly name: string;
  /** Where it listens. Rejects with a {@link DemoError} if it ends before it is ready. */
  readonly ready: Promise<string>;
  /** Settles when the process has ended, for whatever reason. */
  readonly ended: Promise<void>;
  readonly #process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #log: string[] = [];

  constructor({ name, script, readUrl, onLine }: ServerCommand) {
    this.name = name;
    this.#process = Bun.spawn([process.execPath, ...script], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const ready = Promise.withResolvers<string>();
    const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
      for await (const line of linesOf(stream)) {
        onLine?.(line);
        this.#log.push(line);
        if (this.#log.length > LOG_LINES) this.#log.shift();
        const url = readUrl(line);
        if (url !== undefined) ready.resolve(url);
      }
    };
    const output = Promise.all([read(this.#process.stdout), read(this.#process.stderr)]);
    this.ended = this.#process.exited.then(() => undefined);
    // Its last words are still in the pipe when the process is gone.
    void this.ended.then(() => output).then(() => ready.reject(this.failure("before it was ready")));
    this.ready = ready.promise;
    this.ready.catch(() => undefined);
  }

  get pid(): number {
    return this.#process.pid;
  }

  get alive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Asks it to leave, then makes it. Settles when it has left. */
  async stop(): Promise<void> {
    if (!this.alive) return;
    this.#process.kill("SIGTERM");
    const killer = setTimeout(() => this.#process.kill("SIGKILL"), STOP_GRACE_MS);
    await this.ended;
    clearTimeout(killer);
  }

  /** Makes it leave now; for the last moment of this process, when nothing can be awaited any more. */
  kill(): void {
    if (this.alive) this.#process.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** What its end looked like from outside. */
  failure(when: string): DemoError {
    const { exitCode, signalCode } = this.#process;
    const how = signalCode ? `was ended by ${signalCode}` : `ended with exit code ${exitCode}`;
    const words = this.#log.length > 0 ? `; its last words:\n${this.#log.map((line) => `  ${line}`).join("\n")}` : "";
    return new DemoError("SERVER_ENDED", `${this.name} ${how} ${when}${words}`);
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
