import { join } from "node:path";

const python = "/usr/bin/python3";

/** Why the tests against pyzmq cannot run here; undefined if they can. */
export function pyzmqMissing(): string | undefined {
  try {
    const { exitCode } = Bun.spawnSync([python, "-c", "import zmq"], { stderr: "ignore" });
    return exitCode === 0 ? undefined : `skipped: ${python} has no zmq (Debian: python3-zmq)`;
  } catch {
    return `skipped: no ${python}`;
  }
}

/** Runs a piece of Python; what it printed, as JSON. */
export function pythonJson(code: string): unknown {
  const { stdout, stderr, exitCode } = Bun.spawnSync([python, "-c", code]);
  if (exitCode !== 0) throw new Error(`python: ${stderr}`);
  return JSON.parse(stdout.toString());
}

export interface PeerOptions {
  readonly type: "ROUTER" | "DEALER";
  readonly bind?: string;
  readonly connect?: string;
  readonly routing_id?: string;
  readonly greeting?: readonly string[];
  readonly curve?: { readonly secret: string; readonly public?: string; readonly server?: string };
  readonly monitor?: boolean;
}

/** peer.py in a process of its own, which ends with this one at the latest. */
export class Peer implements AsyncDisposable {
  readonly endpoint: string;
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: AsyncIterator<Line>;

  private constructor(
    process: Bun.Subprocess<"pipe", "pipe", "inherit">,
    lines: AsyncIterator<Line>,
    endpoint: string,
  ) {
    this.#process = process;
    this.#lines = lines;
    this.endpoint = endpoint;
  }

  static async start(options: PeerOptions): Promise<Peer> {
    const command = [python, join(import.meta.dir, "peer.py"), JSON.stringify(options)];
    const process = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    const lines = parseLines(process.stdout);
    const first = await within(lines.next(), "the peer's endpoint");
    if (first.value?.endpoint === undefined) throw new Error("the peer ended without an endpoint");
    return new Peer(process, lines, first.value.endpoint);
  }

  /** Waits for an event of the monitor whose name begins so. */
  async event(prefix: string): Promise<void> {
    for (;;) {
      const { value, done } = await within(this.#lines.next(), `the event ${prefix}`);
      if (done) throw new Error(`the peer ended before ${prefix}`);
      if (value.event?.startsWith(prefix)) return;
    }
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

type Line = { readonly endpoint?: string; readonly event?: string };

async function* parseLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<Line, undefined> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as Line;
  }
}

function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no sign of ${what} within 10 s`)), 10_000);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
