/**
 * Runs inside the virtual machine: starts the commands that the host asks for and carries their output, one frame at a
 * time, over the virtio-serial port, so that kernel messages and terminals never touch it. Standard input is the output
 * of the set-up script: whatever stands there is a complaint.
 * @module
 */
import { createReadStream, openSync, writeFileSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { encodeFrame, type ExitReport, FrameKind, FrameReader, type RunRequest, type TerminalSize } from "./wire.ts";

/** A grandchild may hold the pipes open for ever: after the command's end its output gets this long to arrive. */
const drainMs = 250;

const port = openSync("/dev/vport0p1", "r+");

function send(kind: FrameKind, id: number, payload: Uint8Array | string = ""): void {
  const frame = encodeFrame(kind, id, payload);
  for (let sent = 0; sent < frame.length;) sent += writeSync(port, frame, sent);
}

interface Command {
  write(bytes: Uint8Array): void;
  signal(name: NodeJS.Signals): void;
  resize(size: TerminalSize): void;
}

const commands = new Map<number, Command>();

async function forward(id: number, kind: FrameKind, stream: ReadableStream<Uint8Array>): Promise<void> {
  for await (const chunk of stream) if (commands.has(id)) send(kind, id, chunk);
}

function finish(id: number, report: ExitReport): void {
  commands.delete(id);
  send(FrameKind.exit, id, JSON.stringify(report));
}

function exitCode(process: Bun.Subprocess): number {
  const signals: Partial<Record<string, number>> = constants.signals;
  return process.signalCode === null ? (process.exitCode ?? 1) : 128 + (signals[process.signalCode] ?? 0);
}

function signalGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch {
    // The group is gone already: that is what the signal was for.
  }
}

async function runInTerminal(id: number, request: RunRequest, size: TerminalSize): Promise<void> {
  const child = Bun.spawn([...request.command], {
    cwd: request.cwd,
    env: request.env,
    terminal: { cols: size.columns, rows: size.rows, data: (_, bytes) => send(FrameKind.stdout, id, bytes) },
  });
  commands.set(id, {
    write: (bytes) => void child.terminal?.write(bytes),
    signal: (name) => child.kill(name),
    resize: ({ columns, rows }) => child.terminal?.resize(columns, rows),
  });
  await child.exited;
  await Bun.sleep(drainMs);
  finish(id, { code: exitCode(child) });
}

async function runWithPipes(id: number, request: RunRequest): Promise<void> {
  const child = Bun.spawn([...request.command], {
    cwd: request.cwd,
    env: request.env,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
  commands.set(id, {
    write: (bytes) => {
      if (bytes.length === 0) return void child.stdin.end();
      child.stdin.write(bytes);
      child.stdin.flush();
    },
    signal: (name) => signalGroup(child.pid, name),
    resize: () => {},
  });
  const output = Promise.all([
    forward(id, FrameKind.stdout, child.stdout),
    forward(id, FrameKind.stderr, child.stderr),
  ]);
  await child.exited;
  await Promise.race([output, Bun.sleep(drainMs)]);
  finish(id, { code: exitCode(child) });
}

async function run(id: number, request: RunRequest): Promise<void> {
  try {
    await (request.terminal ? runInTerminal(id, request, request.terminal) : runWithPipes(id, request));
  } catch (cause) {
    finish(id, { code: 127, error: cause instanceof Error ? cause.message : String(cause) });
  }
}

send(FrameKind.ready, 0, await Bun.stdin.text());

const reader = new FrameReader();
for await (const chunk of createReadStream("", { fd: port })) {
  for (const { kind, id, payload } of reader.push(chunk as Uint8Array)) {
    const text = () => new TextDecoder().decode(payload);
    if (kind === FrameKind.run) void run(id, JSON.parse(text()) as RunRequest);
    else if (kind === FrameKind.stdin) commands.get(id)?.write(payload);
    else if (kind === FrameKind.signal) commands.get(id)?.signal(text() as NodeJS.Signals);
    else if (kind === FrameKind.resize) commands.get(id)?.resize(JSON.parse(text()) as TerminalSize);
    else if (kind === FrameKind.powerOff) break;
  }
}
// Asked to, or the host's end of the port is closed: nobody will ever look at this machine again.
writeFileSync("/proc/sysrq-trigger", "o");
