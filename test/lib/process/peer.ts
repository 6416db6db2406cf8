import type { ChildCommand, ChildStart } from "./child.ts";

/** A child process with a manager (child.ts), as its parent sees it. */
export class Peer implements AsyncDisposable {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: AsyncIterator<string>;
  address = "";
  transports: readonly string[] = [];
  unusable: readonly string[] = [];

  private constructor(start: ChildStart, environment: Record<string, string>) {
    this.#process = Bun.spawn([process.execPath, `${import.meta.dir}/child.ts`, JSON.stringify(start)], {
      env: { ...process.env, ...environment },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#lines = lines(this.#process.stdout);
  }

  static async start(start: ChildStart, environment: Record<string, string> = {}): Promise<Peer> {
    const peer = new Peer(start, environment);
    const hello = (await peer.#answer()) as Pick<Peer, "transports" | "unusable"> & { address?: string };
    peer.address = hello.address ?? "";
    peer.transports = hello.transports;
    peer.unusable = hello.unusable;
    return peer;
  }

  async ask<Answer = object>(command: ChildCommand): Promise<Answer> {
    this.#process.stdin.write(`${JSON.stringify(command)}\n`);
    await this.#process.stdin.flush();
    return (await this.#answer()) as Answer;
  }

  signal(name: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    this.#process.kill(name);
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGCONT");
    await this.kill();
  }

  async #answer(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the child process has ended");
    return JSON.parse(value);
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      yield rest.slice(0, end);
      rest = rest.slice(end + 1);
    }
  }
}

/** Waits until the condition holds; fails with what it last saw. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  holds: (seen: T) => boolean,
  limitMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (performance.now() > deadline)
      throw new Error(`${what}: not in ${limitMs} ms; last seen ${JSON.stringify(seen)}`);
    await Bun.sleep(2);
  }
}
