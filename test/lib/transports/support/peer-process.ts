import type { Subprocess } from "bun";
import { drive } from "./pair.ts";
import type { PeerCommand } from "./peer.ts";

export interface PeerEvent {
  readonly event: string;
  readonly [key: string]: unknown;
}

/** A {@link PeerCommand} peer as a child process, with what it has said. */
export class PeerProcess implements Disposable {
  readonly events: PeerEvent[] = [];
  readonly #child: Subprocess<"pipe", "pipe", "inherit">;

  constructor(role: "prefill" | "decode", transport: string, ...flags: readonly string[]) {
    this.#child = Bun.spawn([process.execPath, `${import.meta.dir}/peer.ts`, role, transport, ...flags], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    void this.#read();
  }

  get pid(): number {
    return this.#child.pid;
  }

  tell(command: PeerCommand): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    void this.#child.stdin.flush();
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  said(event: string): PeerEvent | undefined {
    return this.events.find((one) => one.event === event);
  }

  /** Drives this process's own ends until the peer has said `event`, which is given and taken off the list. */
  async wait(event: string, turn: () => void = () => {}, timeoutMs = 10_000): Promise<PeerEvent> {
    await until(() => this.said(event) !== undefined, turn, timeoutMs);
    const index = this.events.findIndex((one) => one.event === event);
    return this.events.splice(index, 1)[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    await this.#child.exited;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.events.push(JSON.parse(line) as PeerEvent);
    }
  }
}

/** Like {@link drive}, and lets this process's event loop turn too. */
export async function until(condition: () => boolean, turn: () => void, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    const left = deadline - performance.now();
    if (left <= 0) return drive(turn, condition, 0);
    turn();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
