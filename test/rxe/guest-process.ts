import type { MachineError } from "./errors.ts";
import { type ExitReport, FrameKind, type TerminalSize } from "./wire.ts";

/** What a command in a machine ended with, its output as text. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The time limit ended it; `code` is then 124. */
  readonly timedOut: boolean;
}

export type OutputListener = (chunk: Uint8Array) => void;

/** One command running in a machine. Made by `Machine.spawn`. */
export class GuestProcess {
  /** The exit code; 124 when the time limit ended it. Rejects with `MachineError` when the machine goes away. */
  readonly exited: Promise<number>;
  timedOut = false;
  readonly #send: (kind: FrameKind, payload?: Uint8Array | string) => void;
  readonly #settle: { resolve(code: number): void; reject(cause: Error): void };
  readonly #onStdout: OutputListener;
  readonly #onStderr: OutputListener;

  constructor(
    send: (kind: FrameKind, payload?: Uint8Array | string) => void,
    onStdout: OutputListener,
    onStderr: OutputListener,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.exited = promise;
    this.exited.catch(() => {}); // whoever awaits it hears of it; a command that nobody waits for may be lost
    this.#settle = { resolve, reject };
    this.#send = send;
    this.#onStdout = onStdout;
    this.#onStderr = onStderr;
  }

  /** Bytes for its standard input. */
  write(bytes: Uint8Array | string): void {
    if (bytes.length > 0) this.#send(FrameKind.stdin, bytes);
  }

  /** End of its standard input. */
  end(): void {
    this.#send(FrameKind.stdin);
  }

  /** Signals its whole process group. */
  kill(signal: NodeJS.Signals = "SIGTERM"): void {
    this.#send(FrameKind.signal, signal);
  }

  resize(size: TerminalSize): void {
    this.#send(FrameKind.resize, JSON.stringify(size));
  }

  /** A frame of the machine's guest program for this command. */
  receive(kind: number, payload: Uint8Array): void {
    if (kind === FrameKind.stdout) this.#onStdout(payload);
    else if (kind === FrameKind.stderr) this.#onStderr(payload);
    else if (kind === FrameKind.exit) {
      const report = JSON.parse(new TextDecoder().decode(payload)) as ExitReport;
      if (report.error) this.#onStderr(new TextEncoder().encode(`${report.error}\n`));
      this.#settle.resolve(this.timedOut ? 124 : report.code);
    }
  }

  fail(cause: MachineError): void {
    this.#settle.reject(cause);
  }
}
