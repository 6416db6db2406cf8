import type { GuestProcess } from "./guest-process.ts";
import type { Machine } from "./machine.ts";
import type { Network } from "./network.ts";
import type { TerminalSize } from "./wire.ts";

/** Where the command was typed: package managers start scripts in the package's own folder and tell in a variable. */
function typedIn(): string {
  const { npm_lifecycle_event, INIT_CWD, npm_config_local_prefix } = process.env;
  return (npm_lifecycle_event === "vm" && (INIT_CWD ?? npm_config_local_prefix)) || process.cwd();
}

/** Runs a command with this process's environment and streams; its exit code. */
export function runStreamed(
  machine: Machine,
  command: string | readonly string[],
  timeoutMs: number | undefined,
): Promise<number> {
  const child = machine.spawn(command, {
    cwd: typedIn(),
    env: { ...process.env, PWD: undefined },
    onStdout: (chunk) => process.stdout.write(chunk),
    onStderr: (chunk) => process.stderr.write(chunk),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  // A terminal's input is not for the command: it would have to be interactive to make sense of it.
  if (process.stdin.isTTY) child.end();
  else void feed(child);
  return child.exited;
}

async function feed(child: GuestProcess): Promise<void> {
  for await (const chunk of Bun.stdin.stream()) child.write(chunk);
  child.end();
}

function terminalSize(): TerminalSize {
  return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
}

/** An interactive shell on this process's terminal; without one, a shell that reads commands from standard input. */
export async function runShell(machine: Machine): Promise<number> {
  if (!process.stdin.isTTY) return await runStreamed(machine, ["/bin/bash"], undefined);
  const shell = machine.spawn(["/bin/bash", "-i"], {
    cwd: typedIn(),
    env: { ...process.env, PWD: undefined },
    terminal: terminalSize(),
    onStdout: (chunk) => process.stdout.write(chunk),
  });
  process.stdout.on("resize", () => shell.resize(terminalSize()));
  process.stdin.setRawMode(true);
  process.stdin.on("data", (chunk: Uint8Array) => shell.write(chunk));
  try {
    return await shell.exited;
  } finally {
    process.stdin.setRawMode(false);
  }
}

/** Runs one line on each host at the same time, every output line behind its host's name; the first code that is not 0. */
export async function runOnTwoHosts(
  network: Network,
  lines: readonly [string, string],
  timeoutMs: number | undefined,
): Promise<number> {
  const codes = await Promise.all(
    network.machines.map(async (machine, index) => {
      const stdout = new PrefixedLines(`${machine.name}: `, process.stdout);
      const stderr = new PrefixedLines(`${machine.name}: `, process.stderr);
      const child = machine.spawn(lines[index]!, {
        cwd: typedIn(),
        env: { ...process.env, PWD: undefined },
        onStdout: (chunk) => stdout.write(chunk),
        onStderr: (chunk) => stderr.write(chunk),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      });
      child.end();
      const code = await child.exited;
      stdout.end();
      stderr.end();
      return code;
    }),
  );
  return codes.find((code) => code !== 0) ?? 0;
}

/** Passes whole lines on, each behind a prefix, so that two machines' outputs do not mix within a line. */
class PrefixedLines {
  readonly #prefix: string;
  readonly #sink: NodeJS.WriteStream;
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor(prefix: string, sink: NodeJS.WriteStream) {
    this.#prefix = prefix;
    this.#sink = sink;
  }

  write(chunk: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#sink.write(`${this.#prefix}${line}\n`);
  }

  end(): void {
    if (this.#rest !== "") this.#sink.write(`${this.#prefix}${this.#rest}\n`);
    this.#rest = "";
  }
}
