/** Starts the pingpong tools, ours and the C ones, as two processes that find each other. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../../../..");
const LISTENING = "0A";
const START_DEADLINE_MS = 30_000;

/** The command line of one of our tools. */
export function ours(tool: string): string[] {
  return [process.execPath, join(root, "examples", `${tool}.ts`)];
}

export interface ToolResult {
  readonly code: number;
  readonly output: string;
}

async function finish(tool: Bun.Subprocess<"ignore", "pipe", "pipe">): Promise<ToolResult> {
  const [output, errors, code] = await Promise.all([tool.stdout.text(), tool.stderr.text(), tool.exited]);
  return { code, output: output + errors };
}

function start(command: readonly string[]) {
  return Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

export async function runTool(command: readonly string[]): Promise<ToolResult> {
  return finish(start(command));
}

function freePort(): number {
  using server = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data() {} } });
  return server.port;
}

function isListening(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const tables = ["/proc/net/tcp", "/proc/net/tcp6"].map((file) => readFileSync(file, "utf8")).join("\n");
  return new RegExp(`:${hex} [0-9A-F]+:0000 ${LISTENING} `).test(tables);
}

/** Runs a server and then its client, both with `flags`, to their ends. */
export async function runTwo(server: readonly string[], client: readonly string[], flags: readonly string[]) {
  const port = freePort();
  await using first = start([...server, ...flags, "-p", String(port)]);
  const deadline = performance.now() + START_DEADLINE_MS;
  while (!isListening(port)) {
    if (first.exitCode !== null || performance.now() > deadline) {
      throw new Error(`the server does not listen: ${(await finish(first)).output}`);
    }
    await Bun.sleep(10);
  }
  await using second = start([...client, ...flags, "-p", String(port), "127.0.0.1"]);
  const [serverResult, clientResult] = await Promise.all([finish(first), finish(second)]);
  return { server: serverResult, client: clientResult };
}
